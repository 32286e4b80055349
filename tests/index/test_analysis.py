"""Analysis: what each analyzer makes of text, that both ways into the index agree, and refusals."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanse.errors import IllegalArgumentError
from hanse.index.analysis import Analyzers
from hanse.index.analysis.standard import find, prepare

BUILT_IN = Analyzers({})


def terms(name: str, text: str, definitions: dict[str, Any] | None = None) -> list[str]:
    analyzers = Analyzers(definitions) if definitions else BUILT_IN
    return [token.text for token in analyzers.get(name).analyze(text)]


def custom(tokenizer: str = "standard", *filters: str, **more: Any) -> dict[str, Any]:
    given_ = {"index.analysis.analyzer.mine.tokenizer": tokenizer, "index.analysis.analyzer.mine.filter": list(filters)}
    return {**given_, **{f"index.analysis.{key.replace('__', '.')}": value for key, value in more.items()}}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don't stop, it's U.S.A.!", ["don't", "stop", "it's", "u.s.a"]),
        ("3.5 1,000 3.a a.3 v2.0", ["3.5", "1,000", "3", "a", "a", "3", "v2.0"]),
        ("the_snake __init__ ___ a_.b", ["the_snake", "__init__", "a_", "b"]),
        ("a:b user@example.com x-y", ["a:b", "user", "example.com", "x", "y"]),
        ("日本語 テキスト ひら", ["日", "本", "語", "テキスト", "ひ", "ら"]),
        ("Lübeck’s “Häfen” – naïve", ["lübeck’s", "häfen", "naïve"]),
        ("한국어 हिन्दी ภาษา", ["한국어", "हिन्दी", "ภาษา"]),
        ("½ ² x²", ["x"]),
        ("", []),
        ("!!! ...", []),
    ],
)
def test_standard(text: str, expected: list[str]) -> None:
    assert terms("standard", text) == expected
    assert [term for term, _ in BUILT_IN.get("standard").terms(text)] == expected


def test_a_word_longer_than_255_characters_is_cut() -> None:
    assert [len(term) for term in terms("standard", "a" * 600 + " b")] == [255, 255, 90, 1]
    assert [len(term) for term, _ in BUILT_IN.get("standard").terms("a" * 600 + " b")] == [255, 255, 90, 1]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("simple", ["the", "quick", "dog", "s", "and", "u"]),
        ("whitespace", ["The", "QUICK-2", "dog's", "and", "U."]),
        ("keyword", ["The QUICK-2 dog's and U."]),
        ("stop", ["quick", "dog", "s", "u"]),
        ("english", ["quick", "2", "dog", "u"]),
        ("pattern", ["the", "quick", "2", "dog", "s", "and", "u"]),
    ],
)
def test_built_in_analyzers(name: str, expected: list[str]) -> None:
    assert terms(name, "The QUICK-2 dog's and U.") == expected


def test_languages_stem_and_drop_their_stop_words() -> None:
    assert terms("english", "the running foxes") == ["run", "fox"]
    assert terms("german", "die Häuser und Schiffe") == ["haus", "schiff"]
    assert terms("french", "l'avion et les bateaux") == ["avion", "bateau"]


def test_stop_words_leave_gaps_in_positions() -> None:
    assert BUILT_IN.get("english").terms("the salt of the sea") == [("salt", 1), ("sea", 4)]


def test_tokens_have_places_in_the_original_text() -> None:
    tokens = BUILT_IN.get("standard").analyze("Für 3.5 Mark, 日")
    assert [(t.text, t.start, t.end, t.type, t.position) for t in tokens] == [
        ("für", 0, 3, "<ALPHANUM>", 0),
        ("3.5", 4, 7, "<NUM>", 1),
        ("mark", 8, 12, "<ALPHANUM>", 2),
        ("日", 14, 15, "<IDEOGRAPHIC>", 3),
    ]


@pytest.mark.parametrize(
    ("definitions", "text", "expected"),
    [
        (custom("whitespace", "lowercase", "asciifolding"), "Über ÉTÉ", ["uber", "ete"]),
        (custom("keyword", "uppercase"), "salt sea", ["SALT SEA"]),
        (custom("standard", "reverse"), "salt", ["tlas"]),
        (custom("letter", "s", filter__s__type="stop", filter__s__stopwords=["b"]), "a1b-c", ["a", "c"]),
        (custom("standard", "l", filter__l__type="length", filter__l__min="2"), "a bc def", ["bc", "def"]),
        (custom("standard", "l", filter__l__type="limit", filter__l__max_token_count="2"), "a b c", ["a", "b"]),
        (custom("standard", "t", filter__t__type="truncate", filter__t__length="2"), "abc d", ["ab", "d"]),
        (custom("standard", "unique"), "a b a", ["a", "b"]),
        (
            custom("standard", "g", filter__g__type="edge_ngram", filter__g__min_gram="2", filter__g__max_gram="3"),
            "hanse x",
            ["ha", "han"],
        ),
        (custom("n", tokenizer__n__type="ngram", tokenizer__n__min_gram="2"), "abc", ["ab", "bc"]),
        (
            custom(
                "n", tokenizer__n__type="edge_ngram", tokenizer__n__max_gram="2", tokenizer__n__token_chars=["letter"]
            ),
            "ab 1c",
            ["a", "ab", "c"],
        ),
        (custom("p", tokenizer__p__type="pattern", tokenizer__p__pattern=","), "a b,c", ["a b", "c"]),
        (
            custom("p", tokenizer__p__type="pattern", tokenizer__p__pattern="(x)(.)", tokenizer__p__group="2"),
            "xaxb",
            ["a", "b"],
        ),
        (
            custom("c", tokenizer__c__type="char_group", tokenizer__c__tokenize_on_chars=["whitespace", "-"]),
            "a b-c",
            ["a", "b", "c"],
        ),
        (custom("path_hierarchy"), "/a/b/c", ["/a", "/a/b", "/a/b/c"]),
        (custom("standard", "x", filter__x__type="stemmer", filter__x__language="german"), "Schiffe", ["Schiff"]),
        (
            custom(
                "standard",
                "lowercase",
                "y",
                filter__y__type="synonym",
                filter__y__synonyms=["cog, kogge", "salt => white gold"],
            ),
            "Kogge with salt",
            ["kogge", "cog", "with", "white", "gold"],
        ),
        (
            custom("standard", analyzer__mine__char_filter=["html_strip"]),
            "<p>salt &amp; <b>sea</b></p>",
            ["salt", "sea"],
        ),
        (
            custom(
                "standard",
                analyzer__mine__char_filter="m",
                char_filter__m__type="mapping",
                char_filter__m__mappings=["& => and"],
            ),
            "a & b",
            ["a", "and", "b"],
        ),
        (
            custom(
                "standard",
                analyzer__mine__char_filter="r",
                char_filter__r__type="pattern_replace",
                char_filter__r__pattern=r"(\d+)-(\d+)",
                char_filter__r__replacement="$1_$2",
            ),
            "12-34",
            ["12_34"],
        ),
        (
            {"index.analysis.analyzer.mine.type": "standard", "index.analysis.analyzer.mine.stopwords": "_english_"},
            "the sea",
            ["sea"],
        ),
    ],
)
def test_custom_analyzers(definitions: dict[str, Any], text: str, expected: list[str]) -> None:
    assert terms("mine", text, definitions) == expected
    assert [term for term, _ in Analyzers(definitions).get("mine").terms(text)] == expected


def test_places_survive_a_character_filter() -> None:
    definitions = custom("standard", analyzer__mine__char_filter=["html_strip"])
    text = "<b>salt</b> and <i>sea</i>"
    tokens = Analyzers(definitions).get("mine").analyze(text)
    assert [text[token.start : token.end] for token in tokens] == ["salt", "and", "sea"]


@pytest.mark.parametrize(
    ("name", "definitions", "reason"),
    [
        ("nope", {}, "failed to find global analyzer [nope]"),
        ("mine", custom("standard", "nope"), "Custom Analyzer [mine] failed to find filter under name [nope]"),
        ("mine", custom("nope"), "Custom Analyzer [mine] failed to find tokenizer under name [nope]"),
        (
            "mine",
            custom("standard", "x", filter__x__type="word_delimiter"),
            "Unknown filter type [word_delimiter] for [x]",
        ),
        ("mine", custom("x", tokenizer__x__type="nope"), "Unknown tokenizer type [nope] for [x]"),
        ("mine", {"index.analysis.analyzer.mine.type": "nope"}, "Unknown analyzer type [nope] for [mine]"),
        (
            "mine",
            {"index.analysis.analyzer.mine.type": "custom"},
            "analyzer [mine] must specify either an analyzer type, or a tokenizer",
        ),
    ],
)
def test_unknown_parts_are_refused(name: str, definitions: dict[str, Any], reason: str) -> None:
    with pytest.raises(IllegalArgumentError) as refused:
        Analyzers(definitions).get(name)
    assert refused.value.reason == reason
    if definitions:
        with pytest.raises(IllegalArgumentError):
            Analyzers(definitions).check()


def test_a_pattern_the_engine_of_linear_time_cannot_read_is_refused() -> None:
    with pytest.raises(IllegalArgumentError, match="cannot be read"):
        Analyzers(custom("p", tokenizer__p__type="pattern", tokenizer__p__pattern=r"(?=a)b")).get("mine")


def test_normalizers() -> None:
    definitions: dict[str, Any] = {"index.analysis.normalizer.mine.filter": ["lowercase", "asciifolding"]}
    assert Analyzers(definitions).normalizer("mine").normalize("ÜBER Salz") == "uber salz"
    assert BUILT_IN.normalizer("lowercase").normalize("Salz") == "salz"
    with pytest.raises(IllegalArgumentError, match=r"Custom normalizer \[mine\] may not use filter \[stop\]"):
        Analyzers({"index.analysis.normalizer.mine.filter": ["stop"]}).normalizer("mine")


TEXTS = st.text(
    st.one_of(st.sampled_from("ab12 .,:;'’_-日カひéßह्‍👩½\n\t"), st.characters(exclude_categories=("Cs",))), max_size=60
)


@settings(max_examples=400)
@given(TEXTS)
def test_the_prepared_text_holds_the_tokens_that_are_found(text: str) -> None:
    assert prepare(text).split() == [text[start:end] for start, end in find(text)]


@settings(max_examples=100)
@given(TEXTS, st.sampled_from(["standard", "english", "german", "french", "simple", "stop"]))
def test_index_and_analysis_agree_on_terms(text: str, name: str) -> None:
    analyzer = BUILT_IN.get(name)
    assert [term for term, _ in analyzer.terms(text)] == [token.text for token in analyzer.analyze(text)]


def test_long_runs_of_joining_characters_cost_their_length_only() -> None:
    assert prepare("_" * 200_000).split() == []
    assert prepare("é" + "_" * 200_000 + ".").split()[0].startswith("é_")
