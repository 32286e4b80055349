"""`_analyze`: the tokens an analyzer makes of a text.

Tests: tests/index/administration/test_analyze.py.
"""

from __future__ import annotations

from typing import Any

from hanse.cluster.updates import ClusterService
from hanse.errors import ActionRequestValidationError, IllegalArgumentError
from hanse.index.administration.requests import Analyze
from hanse.index.analysis import Analyzers
from hanse.index.mapping import Mapping as FieldMapping
from hanse.settings.registry import RawValue, flatten
from hanse.transport.actions import Call

_KEYS = frozenset(
    {"text", "analyzer", "field", "tokenizer", "filter", "char_filter", "normalizer", "explain", "attributes"}
)


class AnalyzeAction:
    def __init__(self, cluster: ClusterService) -> None:
        self._cluster = cluster

    async def analyze(self, call: Call, request: Analyze) -> dict[str, Any]:
        body = request.body
        unknown = sorted(set(body) - _KEYS)
        if unknown:
            raise IllegalArgumentError(f"[analyze_request] unknown field [{unknown[0]}]")
        text = body.get("text")
        if text is None:
            raise ActionRequestValidationError.of("text is missing")
        analyzer = self._analyzer(call, body)
        tokens: list[dict[str, Any]] = []
        position = 0
        for part in text if isinstance(text, list) else [text]:
            made = analyzer.analyze(str(part))
            tokens.extend(
                {
                    "token": token.text,
                    "start_offset": token.start,
                    "end_offset": token.end,
                    "type": token.type,
                    "position": position + token.position,
                }
                for token in made
            )
            position += (made[-1].position if made else 0) + 101
        return {"tokens": tokens}

    def _analyzer(self, call: Call, body: dict[str, Any]) -> Any:
        settings: dict[str, RawValue] = {}
        names = call.targets.names
        if names:
            settings = self._cluster.state.indices[names[0]].settings
        if "field" in body and names:
            index = self._cluster.state.indices[names[0]]
            field = FieldMapping.from_metadata(index.mappings, index.slots, index.settings).field(body["field"])
            if field is not None and field.analyzer is not None:
                return field.analyzer
            return Analyzers(settings).get("keyword" if field is not None else "standard")
        if "analyzer" in body:
            return Analyzers(settings).get(body["analyzer"])
        if "tokenizer" in body or "filter" in body or "normalizer" in body:
            return Analyzers({**settings, **_custom(body)}).get("_anonymous")
        return Analyzers(settings).get("standard")


def _custom(body: dict[str, Any]) -> dict[str, RawValue]:
    """An ad-hoc analyzer as index settings; inline definitions get names of their own."""
    flat: dict[str, Any] = {}
    parts = {"tokenizer": body.get("tokenizer", "keyword"), "type": "custom"}
    for kind in ("filter", "char_filter"):
        names = []
        for number, item in enumerate(body.get(kind) or ()):
            name = item if isinstance(item, str) else f"_anonymous_{kind}_{number}"
            if not isinstance(item, str):
                flat.update(flatten(item, f"index.analysis.{kind}.{name}."))
            names.append(name)
        if names:
            parts[kind] = names
    if isinstance(parts["tokenizer"], dict):
        flat.update(flatten(parts["tokenizer"], "index.analysis.tokenizer._anonymous_tokenizer."))
        parts["tokenizer"] = "_anonymous_tokenizer"
    flat.update(flatten(parts, "index.analysis.analyzer._anonymous."))
    return {key: value for key, value in flat.items() if value is not None}
