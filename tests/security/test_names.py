"""The resolver. Its law: names shown are a subset of names allowed."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanse.cluster.names import ClusterNames
from hanse.cluster.state import AliasMetadata
from hanse.errors import HanseError, IllegalArgumentError, IndexClosedError, IndexNotFoundError
from hanse.security.names import Asked, NotGrantedError, prepare, resolve
from hanse.security.permission import Permission, Unlimited
from hanse.security.roles import parse_role
from hanse.transport.actions import IndicesOptions, Target

from .conftest import index, state_with

READ = "indices:data/read/search"
WRITE = "indices:data/write/index"

STATE = state_with(
    index("logs-1", logs=AliasMetadata()),
    index("logs-2", logs=AliasMetadata(filter={"term": {"x": 1}}, search_routing="r")),
    index("logs-shut", state="close"),
    index(".dotted", hidden=True),
    index("tucked", hidden=True, shown=AliasMetadata(), veiled=AliasMetadata(is_hidden=True)),
    index("single", one=AliasMetadata(index_routing="w", search_routing="s")),
    index("roll-1", roll=AliasMetadata(is_write_index=False)),
    index("roll-2", roll=AliasMetadata(is_write_index=True, index_routing="w2")),
)
NAMES = ClusterNames(lambda: STATE)
EVERYTHING = Unlimited()


def role(*names: str, privileges: tuple[str, ...] = ("all",)) -> Permission:
    return Permission([parse_role("r", {"indices": [{"names": list(names), "privileges": list(privileges)}]})])


def found(
    *parts: str, permission: Permission = EVERYTHING, action: str = READ, creates: bool = False, **options: Any
) -> tuple[Target, ...]:
    return resolve(Asked(action, parts, IndicesOptions(**options), creates), permission, NAMES)


def names(*parts: str, **more: Any) -> list[str]:
    return [target.index for target in found(*parts, **more)]


class TestWildcards:
    def test_leave_closed_and_hidden_out(self) -> None:
        assert names("*") == names() == names("_all")
        assert set(names("*")) == {"logs-1", "logs-2", "single", "roll-1", "roll-2", "tucked"}
        assert [t.name for t in found("*") if t.index == "tucked"] == ["shown"]

    def test_states(self) -> None:
        assert names("logs-*", expand_closed=True) == ["logs-1", "logs-2", "logs-shut"]
        assert names("logs-*", expand_open=False, expand_closed=True) == ["logs-shut"]
        assert names("logs-*", expand_open=False) == []

    def test_hidden(self) -> None:
        assert names(".d*") == [".dotted"]
        assert names("tuck*") == []
        assert names("tuck*", expand_hidden=True) == ["tucked"]
        assert names("veil*") == []
        assert names("shown*") == ["tucked"]

    def test_exclusions(self) -> None:
        assert names("logs-*", "-logs-1") == ["logs-2"]
        assert names("*", "-*") == []
        assert names("logs-1", "logs-*", "-logs-1") == ["logs-2"]
        with pytest.raises(IndexNotFoundError):
            names("-logs-1", "logs-*")

    def test_that_match_nothing(self) -> None:
        assert names("nope*") == []
        with pytest.raises(IndexNotFoundError, match=r"no such index \[nope\*\]"):
            names("nope*", allow_no_indices=False)

    def test_of_a_role_without_any_grant(self) -> None:
        with pytest.raises(NotGrantedError) as caught:
            names("*", permission=role("*", privileges=("monitor",)))
        assert caught.value.names == ()

    def test_that_show_nothing_to_a_role_with_some_grant(self) -> None:
        assert names("logs-*", permission=role("other")) == []


class TestExplicitNames:
    def test_missing(self) -> None:
        with pytest.raises(IndexNotFoundError) as caught:
            names("logs-1", "gone")
        assert caught.value.metadata["index"] == "gone"
        assert names("logs-1", "gone", ignore_unavailable=True) == ["logs-1"]

    def test_all_missing_without_allow_no_indices(self) -> None:
        with pytest.raises(IndexNotFoundError):
            names("gone", ignore_unavailable=True, allow_no_indices=False)

    def test_closed(self) -> None:
        with pytest.raises(IndexClosedError) as caught:
            names("logs-shut")
        assert (caught.value.reason, caught.value.metadata["index"]) == ("closed", "logs-shut")
        assert names("logs-shut", ignore_unavailable=True) == []
        assert names("logs-shut", forbid_closed_indices=False) == ["logs-shut"]

    def test_hidden_is_found(self) -> None:
        assert names(".dotted") == [".dotted"]

    def test_twice_is_once(self) -> None:
        assert names("logs-1", "logs-*") == ["logs-1", "logs-2"]


class TestAliases:
    def test_stand_for_their_indices_with_filter_and_routing(self) -> None:
        first, second = found("logs")
        assert (first.index, first.name, first.filters, first.routing) == ("logs-1", "logs", (), None)
        assert (second.index, second.filters, second.routing) == ("logs-2", ({"term": {"x": 1}},), "r")

    def test_reached_directly_too_has_no_filter(self) -> None:
        second = next(target for target in found("logs", "logs-2") if target.index == "logs-2")
        assert (second.filters, second.name, second.routing) == ((), "logs-2", None)

    def test_the_grant_is_on_the_alias_name(self) -> None:
        assert names("logs", permission=role("logs")) == ["logs-1", "logs-2"]
        assert names("*", permission=role("logs")) == ["logs-1", "logs-2"]
        with pytest.raises(NotGrantedError):
            names("logs", permission=role("logs-*"))
        with pytest.raises(NotGrantedError):
            names("logs-1", permission=role("logs"))

    def test_access_comes_from_the_name_used(self) -> None:
        query = {"term": {"port": "Bergen"}}
        permission = Permission(
            [
                parse_role("a", {"indices": [{"names": ["logs"], "privileges": ["read"], "query": query}]}),
                parse_role("b", {"indices": [{"names": ["logs-1"], "privileges": ["read"]}]}),
            ]
        )
        by_alias = found("logs", permission=permission)[0]
        assert by_alias.access.documents == ((query,),)
        assert found("logs-1", permission=permission)[0].access.is_full

    def test_writes_go_to_the_write_index(self) -> None:
        (target,) = found("roll", action=WRITE, creates=True)
        assert (target.index, target.routing) == ("roll-2", "w2")
        assert found("one", action=WRITE)[0].routing == "w"
        with pytest.raises(IllegalArgumentError, match="no write index is defined for alias"):
            names("logs", action=WRITE)

    def test_a_single_index_is_wanted(self) -> None:
        with pytest.raises(IllegalArgumentError, match=r"more than one index associated with it \[logs-1, logs-2\]"):
            names("logs", allow_aliases_to_multiple_indices=False)

    def test_where_aliases_do_not_count(self) -> None:
        with pytest.raises(IllegalArgumentError, match=r"The provided expression \[logs\] matches an alias"):
            names("logs", ignore_aliases=True)
        assert "tucked" not in names("*", ignore_aliases=True)


class TestDataStreams:
    """What is granted on a stream is granted on what is behind it, and on nothing else."""

    STATE = state_with(
        msgspec.structs.replace(index(".ds-s-1", hidden=True, s=AliasMetadata(is_write_index=False)), data_stream="s"),
        msgspec.structs.replace(index(".ds-s-2", hidden=True, s=AliasMetadata(is_write_index=True)), data_stream="s"),
        index(".ds-t-1", hidden=True, s=AliasMetadata()),
    )
    CATALOGUE = ClusterNames(lambda: TestDataStreams.STATE)

    def found(self, *parts: str, permission: Permission, action: str = READ, **options: Any) -> list[str]:
        asked = Asked(action, parts, IndicesOptions(**options))
        return [target.index for target in resolve(asked, permission, self.CATALOGUE)]

    def test_a_backing_index_is_granted_with_its_stream(self) -> None:
        assert self.found(".ds-s-1", permission=role("s")) == [".ds-s-1"]
        assert self.found(".ds-*", permission=role("s")) == [".ds-s-1", ".ds-s-2"]
        assert self.found("s", permission=role("s"), action=WRITE) == [".ds-s-2"]

    def test_an_alias_of_the_same_name_grants_no_index_by_its_own(self) -> None:
        with pytest.raises(NotGrantedError):
            self.found(".ds-t-1", permission=role("s"))

    def test_the_stream_is_not_granted_with_a_backing_index(self) -> None:
        with pytest.raises(NotGrantedError):
            self.found("s", permission=role(".ds-s-1"))

    def test_restrictions_of_the_stream_hold_behind_it(self) -> None:
        grant = {"names": ["s"], "privileges": ["read"], "query": {"term": {"x": 1}}}
        permission = Permission([parse_role("r", {"indices": [grant]})])
        (target,) = resolve(Asked(READ, (".ds-s-1",), IndicesOptions()), permission, self.CATALOGUE)
        assert target.access.documents


class TestCreating:
    def test_takes_names_as_they_are(self) -> None:
        assert names("new", creates=True) == ["new"]
        assert names("new*", creates=True) == ["new*"]
        with pytest.raises(NotGrantedError):
            names("new", creates=True, permission=role("other"))


def test_prepare() -> None:
    assert prepare(("a", "<b-{now/d}>", "-<c-{now/d}>", "d::data"), 0) == ("a", "b-1970.01.01", "-c-1970.01.01", "d")
    with pytest.raises(IllegalArgumentError, match=r"\[nope\] is not a recognized selector"):
        prepare(("a::nope",), 0)


_names = st.text("abc-", min_size=1, max_size=4)
_patterns = st.text("abc-*?", min_size=1, max_size=4)


@settings(max_examples=300)
@given(
    st.dictionaries(_names, st.tuples(st.booleans(), st.booleans(), st.lists(_names, max_size=2)), max_size=6),
    st.lists(_patterns, max_size=3),
    st.lists(st.one_of(_patterns, _patterns.map(lambda text: "-" + text)), max_size=4),
    st.builds(IndicesOptions, st.booleans(), st.booleans(), st.booleans(), st.booleans(), st.booleans()),
)
def test_names_shown_are_a_subset_of_names_allowed(
    indices: dict[str, tuple[bool, bool, list[str]]],
    granted: list[str],
    parts: list[str],
    options: IndicesOptions,
) -> None:
    state = state_with(
        *(
            index(
                name,
                state="open" if is_open else "close",
                hidden=hidden,
                **{alias: AliasMetadata() for alias in aliases if alias not in indices},
            )
            for name, (is_open, hidden, aliases) in indices.items()
        )
    )
    catalogue = ClusterNames(lambda: state)
    permission = role(*granted) if granted else Permission([])
    try:
        targets = resolve(Asked(READ, tuple(parts), options), permission, catalogue)
    except (HanseError, NotGrantedError):
        return
    for target in targets:
        assert permission.allows_index(READ, target.name)
        entries = catalogue.aliases().get(target.name, ())
        assert target.name == target.index or target.index in [entry.index for entry in entries]
