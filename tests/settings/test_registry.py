import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanse.errors import IllegalArgumentError
from hanse.settings.registry import (
    Scope,
    Settings,
    SettingsRegistry,
    boolean,
    choice,
    flatten,
    integer,
    nest,
    optional_string,
    strings,
    time_s,
)

SIZE = integer("pool.size", 4, Scope.DYNAMIC, "Size.", min=1, max=9)
SECRET = optional_string("pool.secret", Scope.SECURE, "Secret.")
SEEDS = strings("remote.*.seeds", Scope.DYNAMIC, "Seeds.")
BELOW = optional_string("analysis.*", Scope.STATIC, "Everything below.")
REGISTRY = SettingsRegistry([SIZE, SECRET, SEEDS, BELOW])


def test_typed_reads_and_defaults() -> None:
    settings = Settings({"pool.size": "7", "remote.a.seeds": "x:1, y:2"})
    assert settings.read(SIZE) == 7
    assert settings.read(SEEDS.at("a")) == ("x:1", "y:2")
    assert Settings().read(SIZE) == 4


def test_unknown_names_are_refused_with_the_nearest_known_one() -> None:
    with pytest.raises(IllegalArgumentError, match=r"unknown setting \[pool.sise\] did you mean \[pool.size\]\?"):
        REGISTRY.check({"pool.sise": "1"}, allowed=Scope.DYNAMIC)


@pytest.mark.parametrize(("value", "text"), [("0", "must be >= 1"), ("10", "must be <= 9"), ("x", r"Failed to parse")])
def test_values_out_of_range_name_the_setting(value: str, text: str) -> None:
    with pytest.raises(IllegalArgumentError, match=text):
        REGISTRY.check({"pool.size": value}, allowed=Scope.DYNAMIC)


def test_a_secret_may_not_stand_in_the_yml() -> None:
    with pytest.raises(IllegalArgumentError, match="secure setting"):
        REGISTRY.check({"pool.secret": "x"}, allowed=Scope.STATIC | Scope.DYNAMIC)


def test_affix_settings_match_one_name_and_trailing_stars_everything_below() -> None:
    assert REGISTRY.find("remote.berlin.seeds") is not None
    assert REGISTRY.find("remote.a.b.seeds") is None
    assert REGISTRY.find("analysis.analyzer.mine.type") is not None


def test_merging_removes_with_none() -> None:
    merged = Settings({"a.b": "1", "a.c": "2", "d": "3"}).merged({"a.*": None, "d": "4"})
    assert dict(merged) == {"d": "4"}


def test_other_kinds() -> None:
    assert Settings({"b": "true"}).read(boolean("b", False, Scope.STATIC, "")) is True
    assert Settings({"c": "FULL"}).read(choice("c", "none", ("none", "full"), Scope.STATIC, "")) == "full"
    assert Settings({"t": "2m"}).read(time_s("t", 1, Scope.STATIC, "")) == 120
    with pytest.raises(IllegalArgumentError, match=r"only \[true\] or \[false\]"):
        Settings({"b": "yes"}).read(boolean("b", False, Scope.STATIC, ""))


names = st.text(st.sampled_from("abc"), min_size=1, max_size=2)
trees = st.recursive(
    st.text(max_size=3), lambda inner: st.dictionaries(names, inner, min_size=1, max_size=3), max_leaves=8
)


@given(st.dictionaries(names, trees, max_size=4))
def test_nesting_is_the_opposite_of_flattening(tree: dict[str, object]) -> None:
    assert nest(flatten(tree)) == tree
