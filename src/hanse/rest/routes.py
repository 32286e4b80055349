"""The router: methods and path templates to handlers.

A tree over path segments; a literal segment wins over `{name}`, and where the literal way leads nowhere the other is
tried. Promises: every path has at most one route per method; a path known under other methods says which.
Tests: tests/rest/test_routes.py.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import unquote

from hanse.rest.request import RestRequest, RestResponse

Handler = Callable[[RestRequest], Awaitable[RestResponse]]


@dataclass(frozen=True, slots=True)
class Route:
    """`cancellable`: a client that goes away takes its request with it (searches); others are finished."""

    method: str
    template: str
    handler: Handler
    names: tuple[str, ...]
    cancellable: bool = False
    stream: bool = False
    """The body is NDJSON."""


@dataclass(slots=True)
class _Node:
    literal: dict[str, _Node] = field(default_factory=dict)
    wildcard: _Node | None = None
    routes: dict[str, Route] = field(default_factory=dict)


class Routes:
    def __init__(self) -> None:
        self._root = _Node()

    def add(
        self, method: str, template: str, handler: Handler, *, cancellable: bool = False, stream: bool = False
    ) -> None:
        """`template` holds `{name}` segments. Raises AssertionError when the route exists."""
        node, names = self._root, []
        for segment in _segments(template):
            if segment.startswith("{"):
                names.append(segment[1:-1])
                node.wildcard = node = node.wildcard or _Node()
            else:
                node = node.literal.setdefault(segment, _Node())
        if method in node.routes:
            raise AssertionError(f"{method} {template} is routed twice")
        node.routes[method] = Route(method, template, handler, tuple(names), cancellable, stream)

    def find(self, method: str, raw_path: str) -> tuple[Route, dict[str, str]] | None:
        """The route of a path as it came in (percent-encoded), with its decoded parameters."""
        found = _first(self._root, _segments(raw_path), 0, (), method)
        if found is None:
            return None
        route, values = found
        return route, dict(zip(route.names, values, strict=True))

    def methods(self, raw_path: str) -> list[str]:
        """The methods under which a path is known, sorted."""
        return sorted(
            {method for node, _ in _matching(self._root, _segments(raw_path), 0, ()) for method in node.routes}
        )

    def all(self) -> list[Route]:
        found: list[Route] = []
        waiting = [self._root]
        while waiting:
            node = waiting.pop()
            found.extend(node.routes.values())
            waiting.extend(node.literal.values())
            if node.wildcard is not None:
                waiting.append(node.wildcard)
        return sorted(found, key=lambda route: (route.template, route.method))


def _segments(path: str) -> list[str]:
    """An encoded slash stays inside its segment, because the path is cut before it is decoded."""
    segments = path.split("/")[1:]
    if segments and not segments[-1]:
        segments.pop()
    return [unquote(segment) for segment in segments] if "%" in path else segments


def _first(
    node: _Node, segments: list[str], at: int, values: tuple[str, ...], method: str
) -> tuple[Route, tuple[str, ...]] | None:
    """The first route for the method in the order of `_matching`."""
    if at == len(segments):
        route = node.routes.get(method)
        return None if route is None else (route, values)
    segment = segments[at]
    below = node.literal.get(segment)
    found = None if below is None else _first(below, segments, at + 1, values, method)
    if found is None and node.wildcard is not None and segment:
        found = _first(node.wildcard, segments, at + 1, (*values, segment), method)
    return found


def _matching(
    node: _Node, segments: list[str], at: int, values: tuple[str, ...]
) -> Iterator[tuple[_Node, tuple[str, ...]]]:
    """Nodes that the segments lead to, the most literal first."""
    if at == len(segments):
        if node.routes:
            yield node, values
        return
    segment = segments[at]
    below = node.literal.get(segment)
    if below is not None:
        yield from _matching(below, segments, at + 1, values)
    if node.wildcard is not None and segment:
        yield from _matching(node.wildcard, segments, at + 1, (*values, segment))
