"""`_analyze`: the tokens an analyzer makes of a text, and with `explain` what each of its parts makes.

Tests: tests/index/administration/test_analyze.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hanse.cluster.updates import ClusterService
from hanse.errors import ActionRequestValidationError, IllegalArgumentError
from hanse.index.administration.requests import Analyze
from hanse.index.analysis import Analyzers
from hanse.index.analysis.tokens import Token
from hanse.index.mapping import Mapping as FieldMapping
from hanse.settings.registry import RawValue, flatten
from hanse.transport.actions import Call

_KEYS = frozenset(
    {"text", "analyzer", "field", "tokenizer", "filter", "char_filter", "normalizer", "explain", "attributes"}
)
POSITION_GAP = 100
"""Between the values of a list, as in a text field."""
_STAGES = ("char_filter", "tokenizer", "filter")
Analysis = Callable[[str], list[Token]]


class AnalyzeAction:
    def __init__(self, cluster: ClusterService) -> None:
        self._cluster = cluster

    async def analyze(self, call: Call, request: Analyze) -> dict[str, Any]:
        body = request.body
        unknown = sorted(set(body) - _KEYS)
        if unknown:
            raise IllegalArgumentError(f"[analyze_request] unknown field [{unknown[0]}]")
        texts = _texts(body)
        index = self._cluster.state.index(call.targets.names[0]) if call.targets.names else None
        settings: dict[str, RawValue] = index.settings if index is not None else {}
        if any(key in body for key in _STAGES) and "analyzer" not in body:
            return _by_parts(body, settings, texts)
        if "normalizer" in body:
            name, analysis = _normalizer(Analyzers(settings), str(body["normalizer"]))
        elif "field" in body:
            if index is None:
                raise IllegalArgumentError("analysis based on a specific field requires an index")
            mapping = FieldMapping.from_metadata(index.mappings, index.slots, index.settings)
            name, analysis = _of_field(mapping, str(body["field"]), Analyzers(settings))
        else:
            analyzer = Analyzers(settings).get(str(body["analyzer"])) if "analyzer" in body else None
            analyzer = analyzer or Analyzers(settings).default()
            name, analysis = analyzer.name, analyzer.analyze
        tokens = _tokens(analysis, texts)
        if not body.get("explain"):
            return {"tokens": tokens}
        return {"detail": {"custom_analyzer": False, "analyzer": {"name": name, "tokens": tokens}}}


def _texts(body: dict[str, Any]) -> list[str]:
    text = body.get("text")
    texts: list[Any] = text if isinstance(text, list) else [text]
    if text is None or not texts:
        raise ActionRequestValidationError.of("text is missing")
    if not all(isinstance(part, str) for part in texts):
        raise IllegalArgumentError("[text] must be a string or a list of strings")
    return texts


def _tokens(analysis: Analysis, texts: list[str]) -> list[dict[str, Any]]:
    tokens: list[dict[str, Any]] = []
    position = offset = 0
    for text in texts:
        made = analysis(text)
        tokens += [
            {
                "token": token.text,
                "start_offset": offset + token.start,
                "end_offset": offset + token.end,
                "type": token.type,
                "position": position + token.position,
            }
            for token in made
        ]
        position += (made[-1].position + 1 if made else 0) + POSITION_GAP
        offset += len(text) + 1
    return tokens


def _of_field(mapping: FieldMapping, path: str, analyzers: Analyzers) -> tuple[str, Analysis]:
    """A text field's analyzer; a keyword's normalizer; the default one where nothing is mapped."""
    field = mapping.field(path)
    if field is None:
        analyzer = analyzers.default()
    elif field.analyzer is not None:
        analyzer = field.analyzer
    elif field.type == "keyword":
        if field.normalizer is not None:
            return _normalizer(analyzers, field.normalizer.name)
        analyzer = analyzers.get("keyword")
    else:
        raise IllegalArgumentError(
            f"Can't process field [{path}], Analysis requests are only supported on tokenized fields"
        )
    return analyzer.name, analyzer.analyze


def _normalizer(analyzers: Analyzers, name: str) -> tuple[str, Analysis]:
    normalizer = analyzers.normalizer(name)
    return name, lambda text: [Token(normalizer.normalize(text), 0, 0, len(text))]


def _by_parts(body: dict[str, Any], settings: dict[str, RawValue], texts: list[str]) -> dict[str, Any]:
    """An analyzer put together in the request; `explain` runs it with one filter more at a time."""
    filters = _listed(body.get("filter"))

    def tokens(count: int) -> list[dict[str, Any]]:
        flat = _custom({**body, "filter": filters[:count]})
        return _tokens(Analyzers({**settings, **flat}).get("_anonymous").analyze, texts)

    if not body.get("explain"):
        return {"tokens": tokens(len(filters))}
    tokenizer, changes = body.get("tokenizer", "keyword"), _listed(body.get("char_filter"))
    return {
        "detail": {
            "custom_analyzer": True,
            "charfilters": [
                {
                    "name": _name(item, "char_filter"),
                    "filtered_text": _char_filtered(changes[: number + 1], settings, texts),
                }
                for number, item in enumerate(changes)
            ],
            "tokenizer": {"name": _name(tokenizer, "tokenizer"), "tokens": tokens(0)},
            "tokenfilters": [
                {"name": _name(item, "tokenfilter"), "tokens": tokens(number)}
                for number, item in enumerate(filters, start=1)
            ],
        }
    }


def _char_filtered(items: list[Any], settings: dict[str, RawValue], texts: list[str]) -> list[str]:
    """What character filters make of texts: the keyword tokenizer gives them back whole."""
    analyzer = Analyzers({**settings, **_custom({"char_filter": items})}).get("_anonymous")
    return ["".join(token.text for token in analyzer.analyze(text)) for text in texts]


def _name(item: Any, kind: str) -> str:
    return item if isinstance(item, str) else f"__anonymous__{item.get('type', kind)}"


def _listed(value: Any) -> list[Any]:
    items = value if isinstance(value, list) else [] if value is None else [value]
    if not all(isinstance(item, str | dict) for item in items):
        raise IllegalArgumentError("[analyze_request] a filter is a name or an object")
    return items


def _custom(body: dict[str, Any]) -> dict[str, RawValue]:
    """An ad-hoc analyzer as index settings; inline definitions get names of their own."""
    flat: dict[str, Any] = {}
    parts: dict[str, Any] = {"type": "custom"}
    for kind in ("filter", "char_filter", "tokenizer"):
        names = []
        for number, item in enumerate(_listed(body.get(kind))):
            name = item if isinstance(item, str) else f"_anonymous_{kind}_{number}"
            if not isinstance(item, str):
                flat.update(flatten(item, f"index.analysis.{kind}.{name}."))
            names.append(name)
        if names:
            parts[kind] = names
    parts["tokenizer"] = parts.get("tokenizer", ["keyword"])[0]
    flat.update(flatten(parts, "index.analysis.analyzer._anonymous."))
    return {key: value for key, value in flat.items() if value is not None}
