"""Transcripts of the protocol: who says what, what both sides do then, and that nothing is trusted too early."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanse.security.trust.authentication_string import Card, commitment
from hanse.security.trust.protocol import (
    ACCEPTOR,
    CLAIMED,
    COMPARING,
    ESTABLISHED,
    ESTABLISHING,
    FAILED,
    INVITED,
    INVITER,
    OPENED,
    PROVISIONAL,
    Answer,
    Answered,
    Asked,
    Command,
    Compared,
    Done,
    Ended,
    Establish,
    Event,
    Exchange,
    Refuse,
    Send,
    Started,
    Ticked,
    Undo,
    Undone,
    step,
)

BERLIN = Card("berlin", "uuid-b", "QkVSTElO", ("b:9300",))
MUNICH = Card("munich", "uuid-m", "TVVOSUNI", ("m:9300",))
EVIL = Card("berlin", "uuid-b", "RVZJTA==", ("b:9300",))
SECRET, OTHER_SECRET = "5" * 64, "6" * 64
B, M, E = "b" * 64, "a" * 64, "e" * 64


def inviter(**fields: Any) -> Exchange:
    made = Exchange("x", INVITER, INVITED, "munich", {}, BERLIN, SECRET, B, 0, 1000, key="k")
    return msgspec.structs.replace(made, **fields)


def acceptor(**fields: Any) -> Exchange:
    made = Exchange("x", ACCEPTOR, CLAIMED, "berlin", {}, MUNICH, SECRET, M, 0, 1000, 1000, BERLIN, key="k:s")
    return msgspec.structs.replace(made, **fields)


def shown(card: Card, nonce: str) -> dict[str, Any]:
    return {"card": msgspec.to_builtins(card), "nonce": nonce}


class Side:
    """Plays events and remembers every command."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.commands: list[Command] = []

    def __call__(self, event: Event) -> list[Command]:
        self.exchange, commands = step(self.exchange, event)
        self.commands += commands
        return commands

    @property
    def phase(self) -> str:
        return self.exchange.phase


def comparing() -> tuple[Side, Side]:
    """Both sides show their digits."""
    here, there = Side(inviter()), Side(acceptor())
    (claim,) = there(Started())
    assert claim == Send("claim", {"commitment": commitment(SECRET, MUNICH, M)})
    (answer,) = here(Asked("claim", claim.body))
    assert answer == Answer(shown(BERLIN, B))
    (opened,) = there(Answered("claim", answer.body))
    assert opened == Send("open", shown(MUNICH, M))
    assert here(Asked("open", opened.body)) == [Answer({})]
    assert there(Answered("open", {})) == [Answer({})]
    assert (here.phase, there.phase) == (COMPARING, COMPARING)
    return here, there


def refusal(commands: list[Command]) -> tuple[int, str]:
    (error,) = [command.error for command in commands if isinstance(command, Refuse)]
    return error.status, error.reason


class TestBothConfirm:
    def test_the_acceptor_first(self) -> None:
        here, there = comparing()
        digits = here.exchange.string
        assert digits is not None
        assert digits == there.exchange.string
        assert there(Compared(digits)) == [Send("compare", {"confirmed": True}), Answer({})]
        assert here(Asked("compare", {"confirmed": True})) == [Answer({})]
        assert there(Answered("compare", {"phase": COMPARING})) == []
        assert here(Compared(digits)) == [Establish(), Answer({})]
        assert here(Done()) == []
        assert there(Ticked()) == [Send("compare", {"confirmed": True})]
        assert here(Asked("compare", {"confirmed": True})) == [Answer({})]
        assert there(Answered("compare", {"phase": PROVISIONAL})) == [Establish()]
        assert there(Done()) == [Send("finish", {})]
        assert here(Asked("finish", {})) == [Answer({})]
        assert there(Answered("finish", {})) == []
        assert (here.phase, there.phase) == (ESTABLISHED, ESTABLISHED)
        for side in (here, there):
            kept = side.exchange
            assert (kept.binding, kept.own_nonce, kept.other_nonce, kept.string) == ("", "", "", None)
        assert there.exchange.key == ""

    def test_the_inviter_first(self) -> None:
        here, there = comparing()
        digits = str(here.exchange.string)
        assert here(Compared(digits)) == [Answer({})]
        assert there(Ticked()) == [Send("compare", {"confirmed": False})]
        assert here(Asked("compare", {"confirmed": False})) == [Answer({})]
        there(Compared(digits))
        assert here(Asked("compare", {"confirmed": True})) == [Establish(), Answer({})]

    def test_an_acceptor_that_has_not_confirmed_is_not_talked_into_it(self) -> None:
        _, there = comparing()
        assert there(Answered("compare", {"phase": PROVISIONAL})) == []
        assert there.phase == COMPARING

    def test_a_lost_answer_is_given_again(self) -> None:
        here = Side(inviter(phase=PROVISIONAL))
        here(Asked("finish", {}))
        assert here(Asked("finish", {})) == [Answer({})]

    def test_a_restart_goes_on(self) -> None:
        assert Side(inviter(phase=ESTABLISHING))(Ticked()) == [Establish()]
        assert Side(acceptor(phase=ESTABLISHING))(Ticked()) == [Establish()]
        assert Side(acceptor(phase=PROVISIONAL))(Ticked()) == [Send("finish", {})]
        assert Side(inviter(phase=PROVISIONAL))(Ticked()) == []


class TestAttacks:
    def test_a_token_is_used_up_by_the_first_claim(self) -> None:
        here = Side(inviter())
        here(Asked("claim", {"commitment": "00"}))
        assert refusal(here(Asked("claim", {"commitment": "00"})))[0] == 409

    def test_the_card_is_not_the_token_s(self) -> None:
        there = Side(acceptor())
        commands = there(Answered("claim", shown(EVIL, B)))
        assert refusal(commands)[0] == 403
        assert Send("abort", {}) in commands
        assert there.phase == FAILED

    @pytest.mark.parametrize("opened", [(EVIL, M), (MUNICH, E), (EVIL, E)])
    def test_what_was_committed_to_is_not_shown(self, opened: tuple[Card, str]) -> None:
        here = Side(inviter())
        here(Asked("claim", {"commitment": commitment(SECRET, MUNICH, M)}))
        assert refusal(here(Asked("open", shown(*opened))))[0] == 403
        assert here.phase == FAILED

    def test_a_commitment_without_the_secret(self) -> None:
        here = Side(inviter())
        here(Asked("claim", {"commitment": commitment(OTHER_SECRET, MUNICH, M)}))
        assert refusal(here(Asked("open", shown(MUNICH, M))))[0] == 403

    def test_the_man_in_the_middle_cannot_make_the_digits_equal(self) -> None:
        """He runs both exchanges and may choose his nonces, but each before he sees the honest side's."""
        here, there = Side(inviter()), Side(acceptor(other=EVIL, binding=OTHER_SECRET))
        here(Asked("claim", {"commitment": commitment(SECRET, EVIL, E)}))  # B is not known to him before this
        here(Asked("open", shown(EVIL, E)))
        (claim,) = there(Started())
        assert M not in str(claim)
        there(Answered("claim", shown(EVIL, E)))  # M is not known to him before this
        there(Answered("open", {}))
        assert (here.phase, there.phase) == (COMPARING, COMPARING)
        digits = str(there.exchange.string)
        assert refusal(here(Compared(digits)))[0] == 403
        assert refusal(there(Compared("0000-0000-0000")))[0] == 403
        assert not any(isinstance(command, Establish) for command in here.commands + there.commands)

    def test_digits_are_guessed_once(self) -> None:
        here, there = comparing()
        digits = str(here.exchange.string)
        assert refusal(here(Compared("0000-0000-0000")))[0] == 403
        assert refusal(here(Compared(digits)))[0] == 409
        assert refusal(here(Asked("compare", {"confirmed": True})))[0] == 409
        assert there(Ended("[berlin] refused", tell=False)) == []
        assert there.phase == FAILED

    @pytest.mark.parametrize("body", [{}, {"card": 1, "nonce": B}, shown(BERLIN, "zz"), {"nonce": B}])
    def test_malformed_cards(self, body: dict[str, Any]) -> None:
        assert refusal(Side(acceptor())(Answered("claim", body)))[0] == 403
        assert refusal(Side(inviter(phase=CLAIMED))(Asked("open", body)))[0] == 403

    @pytest.mark.parametrize(
        ("phase", "event"),
        [
            (INVITED, Asked("open", shown(MUNICH, M))),
            (INVITED, Asked("compare", {"confirmed": True})),
            (CLAIMED, Asked("compare", {"confirmed": True})),
            (COMPARING, Asked("open", shown(MUNICH, M))),
            (COMPARING, Asked("finish", {})),
            (COMPARING, Asked("nonsense", {})),
            (INVITED, Compared("0000-0000-0000")),
            (CLAIMED, Compared("0000-0000-0000")),
        ],
    )
    def test_steps_out_of_order_change_nothing(self, phase: str, event: Event) -> None:
        here = Side(inviter(phase=phase))
        before = here.exchange
        assert refusal(here(event))[0] == 409
        assert here.exchange == before

    def test_an_acceptor_is_not_asked(self) -> None:
        assert refusal(Side(acceptor(phase=COMPARING))(Asked("finish", {})))[0] == 409


class TestEnds:
    @pytest.mark.parametrize("phase", [ESTABLISHING, PROVISIONAL])
    @pytest.mark.parametrize("made", [inviter, acceptor])
    def test_what_was_put_is_taken_back_until_it_is_gone(self, made: Any, phase: str) -> None:
        side = Side(made(phase=phase, other=MUNICH))
        assert Undo() in side(Ended("it expired"))
        assert (side.phase, side.exchange.reason, side(Ticked())) == (FAILED, "it expired", [Undo()])
        assert side(Undone()) == side(Ticked()) == []

    @pytest.mark.parametrize("phase", [INVITED, CLAIMED, OPENED, COMPARING])
    @pytest.mark.parametrize("made", [inviter, acceptor])
    def test_before_that_there_is_nothing_to_take_back(self, made: Any, phase: str) -> None:
        side = Side(made(phase=phase))
        assert Undo() not in side(Ended("it expired"))
        assert side.phase == FAILED

    def test_the_acceptor_tells_and_the_inviter_hears(self) -> None:
        here, there = Side(inviter(phase=PROVISIONAL, other=MUNICH)), Side(acceptor(phase=ESTABLISHING))
        assert there(Ended("no room")) == [Undo(), Send("abort", {})]
        assert here(Asked("abort", {})) == [Undo(), Answer({})]

    def test_what_is_established_is_not_ended(self) -> None:
        here = Side(inviter(phase=ESTABLISHED))
        assert here(Asked("abort", {}))[:1] != [Undo()]
        assert here(Ended("it expired")) == []
        assert here.phase == ESTABLISHED


EVENTS = st.one_of(
    st.builds(Asked, st.sampled_from(["compare", "finish", "abort", "claim", "open"]), st.just({"confirmed": True})),
    st.builds(Asked, st.just("compare"), st.just({"confirmed": False})),
    st.builds(Answered, st.sampled_from(["claim", "open", "compare", "finish"]), st.just({"phase": PROVISIONAL})),
    st.just(Done()),
    st.just(Ticked()),
    st.just(Undone()),
    st.just(Started()),
    st.just(Compared("right")),
    st.just(Compared("0000-0000-0000")),
    st.just(Ended("it expired")),
)


@given(st.lists(EVENTS, max_size=12), st.booleans())
def test_in_no_order_of_events_is_anything_put_before_both_confirmed(events: list[Event], is_inviter: bool) -> None:
    pair = comparing()
    side = pair[0] if is_inviter else pair[1]
    right = str(side.exchange.string)
    confirmed = False
    for event in events:
        if event == Compared("right"):
            confirmed, event = True, Compared(right)
        put = Establish() in side(event)
        assert not put or (confirmed and side.exchange.confirmed_here and side.exchange.confirmed_there)
