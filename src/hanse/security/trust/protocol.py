"""Trust in one step: what both sides do, as a machine without clocks, sockets or disks: event in, commands out.

Theory of operation. The inviter's administrator gets a token and hands it to the acceptor's over any channel; the
acceptor's node calls the inviter's node over HTTPS, and both people compare a short authentication string (SAS):

    acceptor                                                     inviter
       | --- claim: commitment to (own card, own nonce) ----------> |   the token is used up here
       | <-- card, nonce ------------------------------------------ |
       | --- open: card, nonce -----------------------------------> |   both now show SAS(secret, cards, nonces)
       | --- compare: confirmed here? ----------------------------> |   asked again until both people confirmed
       | <-- comparing | provisional ------------------------------ |   the inviter has established
       | --- finish ----------------------------------------------> |   the acceptor has established, too

A card holds the cluster's name and uuid, the authority (CA) of its transport certificate and the way to its transport.
To establish is to put, in this order: the remote peer with its ceiling, the authority, `cluster.remote.<alias>`. So
no authority is ever trusted without its ceiling. What cannot be finished on both sides until the invitation expires is
undone: the inviter holds its half provisionally until it hears `finish`, the acceptor until that was answered.

Which step is against whom:
- Who listens on the network, or stands in it: calls go over TLS to a certificate whose fingerprint the token names, and
  nothing is sent before it was seen. The card that comes back must be the token's, to the letter.
- Who guesses or replays: the secret is an API key of 128 random bits that may do this exchange alone, is kept as a hash
  and expires. The first claim uses the token up, in one atomic change of the cluster state; a second one is refused.
- Who read the token on its way (a chat, a ticket) and accepts in the acceptor's place: the inviter's person sees a SAS
  over the thief's authority, and the acceptor's person, whom they ask, has none or another one.
- Who replaced the token by one of their own and runs two exchanges, one with each side (the man in the middle): the
  two SAS are over different authorities. They could be made equal by trying out keys or nonces until they collide, so
  the acceptor commits to card and nonce before it sees the inviter's nonce, and the inviter shows its nonce before it
  sees the acceptor's. Whichever side the man in the middle finishes first, the other SAS then depends on a random
  nonce that he saw too late: one try of 1 in 10^12, and a failed one ends the invitation.
- Who types without looking: confirming needs the digits that the *other* side shows. Wrong digits end the exchange on
  both sides, as a SAS that differs is what an attack looks like.
- Whom one trusts for one purpose and who wants more: the ceiling is named by each side for itself, before it knows
  anything of the other; without one the peer may do nothing. Peers are matched by the authority's fingerprint, so that
  two authorities with one name (auto-configured clusters have them) never stand for each other.

Not defended: an administrator who confirms digits of a stranger, and a cluster that gives away its own keys.
Tests: tests/security/trust/test_protocol.py (transcripts), tests/journeys/test_trust_in_one_step.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from hanse.errors import HanseError, SecurityError, StatusError
from hanse.security.trust.authentication_string import Card, authentication_string, commitment, is_nonce, is_same, opens

INVITER, ACCEPTOR = "inviter", "acceptor"
INVITED, CLAIMED, OPENED, COMPARING, ESTABLISHING, PROVISIONAL, ESTABLISHED, FAILED = (
    "invited", "claimed", "opened", "comparing", "establishing", "provisional", "established", "failed",
)  # fmt: skip
OVER = (ESTABLISHED, FAILED)

Step = Literal["claim", "open", "compare", "finish", "abort"]
STEPS: tuple[Step, ...] = ("claim", "open", "compare", "finish", "abort")


class Exchange(msgspec.Struct, frozen=True):
    """One side's state; durable. `binding` and nonces are emptied when it is over."""

    id: str
    role: str
    phase: str
    alias: str
    limits: dict[str, Any]
    own: Card
    binding: str
    own_nonce: str
    created_ms: int
    expires_ms: int
    expires_there_ms: int = 0
    """Acceptor: when the invitation expires by the inviter's clock. It is the inviter that judges by it."""
    other: Card | None = None
    other_nonce: str = ""
    committed: str = ""
    confirmed_here: bool = False
    confirmed_there: bool = False
    key: str = ""
    """Inviter: the id of the API key that may go on with this exchange. Acceptor: the key itself."""
    addresses: tuple[str, ...] = ()
    fingerprint: str = ""
    reason: str = ""
    undoing: bool = False
    """Failed, and what had been put is not known to be gone yet."""

    @property
    def is_over(self) -> bool:
        return self.phase in OVER

    @property
    def string(self) -> str | None:
        """The SAS; None before both nonces are there and after the exchange."""
        if self.other is None or not self.other_nonce or self.is_over:
            return None
        here, there = (self.own, self.own_nonce), (self.other, self.other_nonce)
        inviter, acceptor = (here, there) if self.role == INVITER else (there, here)
        return authentication_string(self.binding, inviter, acceptor)


# Events.


@dataclass(frozen=True, slots=True)
class Asked:
    """Inviter: the acceptor calls."""

    step: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answered:
    """Acceptor: the inviter answered a step."""

    step: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Started:
    """Acceptor: the token was read."""


@dataclass(frozen=True, slots=True)
class Compared:
    """The person here gives the digits that the other side shows."""

    digits: str


@dataclass(frozen=True, slots=True)
class Done:
    """What `Establish` asked for is in place."""


@dataclass(frozen=True, slots=True)
class Undone:
    """What `Undo` asked for has happened."""


@dataclass(frozen=True, slots=True)
class Ended:
    """Expired, cancelled, refused by the other side, or not established: it cannot be completed any more."""

    reason: str
    tell: bool = True
    """Whether the other side should hear of it."""


@dataclass(frozen=True, slots=True)
class Ticked:
    """Time to ask again."""


Event = Asked | Answered | Started | Compared | Done | Undone | Ended | Ticked


# Commands.


@dataclass(frozen=True, slots=True)
class Send:
    """Acceptor: call the inviter."""

    step: Step
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """To who called or asked. The phase that is reached when every command has run is added to it."""

    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Refuse:
    error: HanseError


@dataclass(frozen=True, slots=True)
class Establish:
    """Put peer, authority and connection; `Done` or `Ended` is fed back."""


@dataclass(frozen=True, slots=True)
class Undo:
    """Remove what was put; `Undone` is fed back."""


Command = Send | Answer | Refuse | Establish | Undo
Outcome = tuple[Exchange, list[Command]]


def step(exchange: Exchange, event: Event) -> Outcome:
    """The state after the event, and what is to be done, in order."""
    if isinstance(event, Ended):
        return _end(exchange, event)
    if isinstance(event, Undone):
        return msgspec.structs.replace(exchange, undoing=False), []
    if exchange.undoing and isinstance(event, Ticked):
        return exchange, [Undo()]
    if exchange.phase == ESTABLISHED and isinstance(event, Asked) and event.step == "finish":
        return exchange, [Answer({})]  # the first answer was lost
    if exchange.is_over:
        return exchange, [Refuse(_is_over(exchange))] if isinstance(event, Asked | Started | Compared) else []
    if isinstance(event, Compared):
        return _compare(exchange, event.digits)
    if isinstance(event, Done):
        return _established(exchange)
    if isinstance(event, Asked):
        return _asked(exchange, event)
    if isinstance(event, Answered):
        return _answered(exchange, event)
    if exchange.role == INVITER:
        return exchange, [Establish()] if exchange.phase == ESTABLISHING else []
    return _started(exchange) if isinstance(event, Started) else _ticked(exchange)


# The inviter.


def _asked(exchange: Exchange, event: Asked) -> Outcome:
    if event.step == "abort":
        return _end(exchange, Ended("the other side ended it", tell=False), answered=True)
    handlers = {"claim": _claimed, "open": _opened, "compare": _asked_to_compare, "finish": _finished}
    handler = handlers.get(event.step)
    if handler is None or exchange.role != INVITER:
        return exchange, [Refuse(_out_of_order(exchange, event.step))]
    return handler(exchange, event.body)


def _claimed(exchange: Exchange, body: dict[str, Any]) -> Outcome:
    if exchange.phase != INVITED:
        return exchange, [
            Refuse(StatusError("this token has been used already; every invitation is good for one acceptance", 409))
        ]
    committed = body.get("commitment")
    if not isinstance(committed, str) or not committed:
        return exchange, [Refuse(_malformed("commitment"))]
    after = msgspec.structs.replace(exchange, phase=CLAIMED, committed=committed)
    shown = {"card": msgspec.to_builtins(exchange.own), "nonce": exchange.own_nonce}
    return after, [Answer(shown)]


def _opened(exchange: Exchange, body: dict[str, Any]) -> Outcome:
    if exchange.phase != CLAIMED:
        return exchange, [Refuse(_out_of_order(exchange, "open"))]
    read = read_card_and_nonce(body)
    if read is None or not opens(exchange.committed, exchange.binding, *read):
        return _refused(
            exchange, "the other side showed another authority or nonce than it had committed itself to", 403
        )
    after = msgspec.structs.replace(exchange, phase=COMPARING, other=read[0], other_nonce=read[1])
    return after, [Answer({})]


def _asked_to_compare(exchange: Exchange, body: dict[str, Any]) -> Outcome:
    if exchange.phase not in (COMPARING, ESTABLISHING, PROVISIONAL):
        return exchange, [Refuse(_out_of_order(exchange, "compare"))]
    confirmed = exchange.confirmed_there or body.get("confirmed") is True
    after = msgspec.structs.replace(exchange, confirmed_there=confirmed)
    after, commands = _when_both(after)
    return after, [*commands, Answer({})]


def _finished(exchange: Exchange, body: dict[str, Any]) -> Outcome:
    if exchange.phase != PROVISIONAL:
        return exchange, [Refuse(_out_of_order(exchange, "finish"))]
    return _over(exchange, ESTABLISHED), [Answer({})]


def _when_both(exchange: Exchange) -> Outcome:
    if exchange.phase == COMPARING and exchange.confirmed_here and exchange.confirmed_there:
        return msgspec.structs.replace(exchange, phase=ESTABLISHING), [Establish()]
    return exchange, []


# The acceptor.


def _started(exchange: Exchange) -> Outcome:
    committed = commitment(exchange.binding, exchange.own, exchange.own_nonce)
    return exchange, [Send("claim", {"commitment": committed})]


def _answered(exchange: Exchange, event: Answered) -> Outcome:
    if event.step == "claim" and exchange.phase == CLAIMED:
        return _read_card(exchange, event.body)
    if event.step == "open" and exchange.phase == OPENED:
        after = msgspec.structs.replace(exchange, phase=COMPARING)
        return after, [Answer({})]
    if event.step == "compare" and exchange.phase == COMPARING and exchange.confirmed_here:
        if event.body.get("phase") == PROVISIONAL:
            return msgspec.structs.replace(exchange, phase=ESTABLISHING, confirmed_there=True), [Establish()]
    elif event.step == "finish" and exchange.phase == PROVISIONAL:
        return _over(exchange, ESTABLISHED), []
    return exchange, []


def _read_card(exchange: Exchange, body: dict[str, Any]) -> Outcome:
    read = read_card_and_nonce(body)
    if read is None or read[0] != exchange.other:
        return _refused(
            exchange, "the cluster that answered is not the one that the token names: its card differs", 403
        )
    after = msgspec.structs.replace(exchange, phase=OPENED, other_nonce=read[1])
    opened = {"card": msgspec.to_builtins(exchange.own), "nonce": exchange.own_nonce}
    return after, [Send("open", opened)]


def _ticked(exchange: Exchange) -> Outcome:
    if exchange.phase == COMPARING:
        return exchange, [Send("compare", {"confirmed": exchange.confirmed_here})]
    if exchange.phase == ESTABLISHING:
        return exchange, [Establish()]
    return exchange, [Send("finish", {})] if exchange.phase == PROVISIONAL else []


# Both.


def _compare(exchange: Exchange, digits: str) -> Outcome:
    if exchange.phase != COMPARING or exchange.string is None:
        return exchange, [Refuse(_out_of_order(exchange, "confirm"))]
    if not is_same(digits, exchange.string):
        return _refused(
            exchange,
            "the short authentication strings differ: somebody may stand between the two clusters, or it was mistyped. "
            "Nothing is trusted; begin again with a new invitation",
            403,
        )
    confirmed = msgspec.structs.replace(exchange, confirmed_here=True)
    if exchange.role == ACCEPTOR:
        return confirmed, [Send("compare", {"confirmed": True}), Answer({})]
    after, commands = _when_both(confirmed)
    return after, [*commands, Answer({})]


def _established(exchange: Exchange) -> Outcome:
    if exchange.phase != ESTABLISHING:
        return exchange, []
    after = msgspec.structs.replace(exchange, phase=PROVISIONAL)
    return after, [Send("finish", {})] if exchange.role == ACCEPTOR else []


def _end(exchange: Exchange, event: Ended, *, answered: bool = False) -> Outcome:
    answer: list[Command] = [Answer({})] if answered else []
    if exchange.is_over:
        return exchange, answer
    undoing = exchange.phase in (ESTABLISHING, PROVISIONAL)
    commands: list[Command] = [Undo()] if undoing else []
    if event.tell and exchange.role == ACCEPTOR:
        commands.append(Send("abort", {}))
    after = msgspec.structs.replace(exchange, undoing=undoing)
    return _over(after, FAILED, event.reason), [*commands, *answer]


def _refused(exchange: Exchange, reason: str, status: int) -> Outcome:
    after, commands = _end(exchange, Ended(reason))
    return after, [*commands, Refuse(SecurityError(reason, status))]


def _over(exchange: Exchange, phase: str, reason: str = "") -> Exchange:
    """Nothing that could still serve anybody is kept."""
    keep_key = exchange.key if exchange.role == INVITER else ""
    return msgspec.structs.replace(
        exchange, phase=phase, reason=reason, binding="", own_nonce="", other_nonce="", committed="", key=keep_key
    )


def read_card_and_nonce(body: Mapping[str, Any]) -> tuple[Card, str] | None:
    try:
        card, nonce = msgspec.convert(body.get("card"), Card), msgspec.convert(body.get("nonce"), str)
    except msgspec.ValidationError:
        return None
    return (card, nonce) if is_nonce(nonce) else None


def _is_over(exchange: Exchange) -> HanseError:
    if exchange.phase == ESTABLISHED:
        return StatusError(f"the exchange [{exchange.id}] is over: trust is established as [{exchange.alias}]", 409)
    return StatusError(f"the exchange [{exchange.id}] has failed: {exchange.reason}", 409)


def _out_of_order(exchange: Exchange, what: str) -> HanseError:
    return StatusError(f"[{what}] does not fit: the exchange [{exchange.id}] is [{exchange.phase}]", 409)


def _malformed(field: str) -> HanseError:
    return StatusError(f"[{field}] is missing or malformed", 400)
