"""The synonym filter: `a, b` (each stands for all) and `a => b` (b in the place of a), several words allowed.

Alternatives stand at the positions of what they replace; one with more words than the original runs over into the
positions behind it (the flattened form of Lucene's graph). Tests: tests/index/test_analysis.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hanse.errors import IllegalArgumentError
from hanse.index.analysis.parameters import boolean_of, strings_of
from hanse.index.analysis.tokens import Token

Words = tuple[str, ...]
Rules = dict[Words, list[Words]]


def synonym_filter(
    name: str, given: Mapping[str, Any], parse: Callable[[str], list[str]]
) -> Callable[[list[Token]], list[Token]]:
    """Raises IllegalArgumentError for a rule that cannot be read, unless `lenient`."""
    if "synonyms_path" in given or "synonyms_set" in given:
        raise IllegalArgumentError(f"filter [{name}]: synonyms must be listed in [synonyms]")
    lines = given.get("synonyms")
    rules: Rules = {}
    for line in lines if isinstance(lines, list) else strings_of(given, "synonyms"):
        try:
            _read_rule(str(line), parse, boolean_of(given, "expand", True), rules)
        except IllegalArgumentError:
            if not boolean_of(given, "lenient", False):
                raise
    longest = max((len(words) for words in rules), default=0)
    return lambda tokens: _replace(tokens, rules, longest)


def _read_rule(line: str, parse: Callable[[str], list[str]], expand: bool, rules: Rules) -> None:
    text = line.strip()
    if not text or text.startswith("#"):
        return
    left, arrow, right = text.partition("=>")
    sources = _sides(left, parse)
    targets = _sides(right, parse) if arrow else (sources if expand else sources[:1])
    if not sources or not targets or "=>" in right:
        raise IllegalArgumentError(f"failed to build synonyms: Invalid synonym rule at line [{line}]")
    for source in sources:
        known = rules.setdefault(source, [])
        known.extend(target for target in targets if target not in known)


def _sides(text: str, parse: Callable[[str], list[str]]) -> list[Words]:
    sides = [tuple(parse(part.strip())) for part in text.split(",")]
    return [side for side in sides if side]


def _replace(tokens: list[Token], rules: Rules, longest: int) -> list[Token]:
    made: list[Token] = []
    place = 0
    while place < len(tokens):
        for size in range(min(longest, len(tokens) - place), 0, -1):
            run = tokens[place : place + size]
            targets = rules.get(tuple(token.text for token in run))
            if targets is not None:
                made.extend(_alternatives(run, targets))
                place += size
                break
        else:
            made.append(tokens[place])
            place += 1
    made.sort(key=lambda token: token.position)
    return made


def _alternatives(run: list[Token], targets: list[Words]) -> list[Token]:
    original = tuple(token.text for token in run)
    made = list(run) if original in targets else []
    for words in targets:
        if words != original:
            start = run[0].position
            made.extend(
                Token(word, start + number, run[0].start, run[-1].end, "SYNONYM") for number, word in enumerate(words)
            )
    return made
