"""Cross-cluster search: one call per cluster, each decides by its own roles, the answers merge here.

Handlers of `_search`, `_field_caps` and `_resolve/index`: the gate has already split the expression into local targets
and remote expressions. A remote that fails is skipped or fails the search, by its `skip_unavailable`; the error says
which cluster. Tests: tests/remote/test_search.py and tests/journeys/.
"""

from __future__ import annotations

import time
from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar

import msgspec

from hanse import clock
from hanse.cluster.updates import ClusterService
from hanse.errors import HanseError, IllegalArgumentError, RemoteTransportError
from hanse.index.administration.requests import RESOLVE, ByNames
from hanse.remote.clusters_section import LOCAL, clusters_section, failed_cluster, finished_cluster
from hanse.remote.registry import RemoteClusters
from hanse.remote.resolve import resolve_local
from hanse.search.body import parse_request
from hanse.search.coordinate import reduce_phases
from hanse.search.distribute import Distribution
from hanse.search.field_caps import merge_field_caps
from hanse.search.merge import merge
from hanse.search.request import FIELD_CAPS, SEARCH, FieldCapsRequest, FieldCapsResult, SearchRequest, SearchResult
from hanse.search.shard_questions import ShardQuestions
from hanse.tasks import together
from hanse.transport.actions import Action, ActionRegistry, Call

R = TypeVar("R")


class CrossClusterSearch:
    """Runs searches over local indices and remote clusters."""

    def __init__(
        self, cluster: ClusterService, remotes: RemoteClusters, distribution: Distribution, questions: ShardQuestions
    ) -> None:
        self._cluster = cluster
        self._remotes = remotes
        self._distribution = distribution
        self._questions = questions

    async def search(self, call: Call, request: SearchRequest) -> SearchResult:
        remotes = call.targets.remotes
        if request.scroll is not None and call.origin.kind == "transport":
            raise IllegalArgumentError("[scroll] cannot be opened by another cluster: no context crosses the border")
        if not remotes:
            return await self._distribution.search(call, request)
        if request.scroll is not None:
            raise IllegalArgumentError(
                "[scroll] cannot be used across clusters: page with [search_after] over a unique sort instead"
            )
        started = time.monotonic()
        now_ms = request.now_ms or clock.now_ms()
        if len(remotes) == 1 and not call.targets.has_local:
            result = await self._forwarded(call, request, now_ms)
        else:
            result = await self._merged(call, msgspec.structs.replace(request, now_ms=now_ms))
        result.took_ms = int((time.monotonic() - started) * 1000)
        # The last reduce happens here, whatever the other clusters allow.
        result.max_buckets = self._distribution.limits().max_buckets
        return result

    async def _forwarded(self, call: Call, request: SearchRequest, now_ms: int) -> SearchResult:
        """One remote and nothing local: the remote does the final reduce, its answer is taken as it is."""
        ((alias, names),) = call.targets.remotes.items()
        sub_request = msgspec.structs.replace(request, now_ms=now_ms)
        outcome = await self._settled(
            call, alias, SEARCH, _asked(sub_request, alias, names, looks_first=not request.ccs_minimize_roundtrips)
        )
        if isinstance(outcome, HanseError):
            result, details = SearchResult(), failed_cluster(names, outcome)
        else:
            result, details = outcome, finished_cluster(names, outcome, skip_unavailable=self._skips(alias))
        result.clusters = clusters_section({alias: details})
        return result

    async def _merged(self, call: Call, request: SearchRequest) -> SearchResult:
        remotes = call.targets.remotes
        part = msgspec.structs.replace(request, final_reduce=False)
        as_one = not is_minimized(request)
        if as_one:
            part = msgspec.structs.replace(part, may_skip_all=True, shards_elsewhere=len(remotes))
        clusters = ([LOCAL] if call.targets.has_local else []) + list(remotes)
        outcomes = await all_or_none({alias: self._part(call, alias, part) for alias in clusters})
        if as_one:
            await self._run_one(call, outcomes, msgspec.structs.replace(part, may_skip_all=False))
        details: dict[str, dict[str, Any]] = {}
        results = []
        for alias, outcome in outcomes.items():
            names = call.targets.expression if alias == LOCAL else remotes[alias]
            if isinstance(outcome, HanseError):
                details[alias] = failed_cluster(names, outcome)
            else:
                skips = alias != LOCAL and self._skips(alias)
                details[alias] = finished_cluster(names, outcome, skip_unavailable=skips)
                results.append(outcome)
        result = merge(results, request)
        if as_one:
            result.num_reduce_phases = reduce_phases(result.total_shards - result.skipped, request.batched_reduce_size)
        result.clusters = clusters_section(details)
        return result

    async def _part(self, call: Call, alias: str, request: SearchRequest) -> SearchResult | HanseError:
        """One cluster's part of a search."""
        if alias == LOCAL:
            return await self._distribution.search(call, request)
        asked = _asked(request, alias, call.targets.remotes[alias], looks_first=request.shards_elsewhere > 0)
        outcome: SearchResult | HanseError = await self._settled(call, alias, SEARCH, asked)
        return outcome

    async def _run_one(
        self, call: Call, outcomes: dict[str, SearchResult | HanseError], request: SearchRequest
    ) -> None:
        """When every shard of every cluster was skipped, one shard runs after all: the answer needs its shape."""
        results = {alias: one for alias, one in outcomes.items() if isinstance(one, SearchResult) and one.total_shards}
        if results and all(one.skipped == one.total_shards for one in results.values()):
            first = next(iter(results))
            outcomes[first] = await self._part(call, first, request)

    async def field_caps(self, call: Call, request: FieldCapsRequest) -> FieldCapsResult:
        """A failing remote is reported under `failures` when another cluster answered."""
        remotes = call.targets.remotes
        request = msgspec.structs.replace(request, now_ms=request.now_ms or clock.now_ms())
        work: dict[str, Coroutine[Any, Any, FieldCapsResult | HanseError]] = {}
        if call.targets.has_local:
            work[LOCAL] = self._questions.field_caps(call, request)
        for alias, names in remotes.items():
            sub_request = msgspec.structs.replace(request, indices=names, cluster_alias=alias)
            work[alias] = self._outcome(call, alias, FIELD_CAPS, sub_request)
        outcomes = await all_or_none(work)
        failures = {alias: outcome for alias, outcome in outcomes.items() if isinstance(outcome, HanseError)}
        answers = [outcome for outcome in outcomes.values() if isinstance(outcome, FieldCapsResult)]
        if failures and not answers:
            raise wrapped(*next(iter(failures.items())))
        merged = merge_field_caps(answers)
        for alias, failure in failures.items():
            shown = {"type": failure.name, "reason": failure.reason, **failure.metadata}
            merged.failures.append(
                {
                    "indices": [f"{alias}:{name}" for name in remotes[alias]],
                    "failure": {"error": {"root_cause": [shown], **shown}, "status": failure.status},
                }
            )
        return merged

    async def resolve(self, call: Call, request: ByNames) -> dict[str, Any]:
        """`_resolve/index`: remote names come back with their alias in front."""
        work: dict[str, Coroutine[Any, Any, dict[str, Any] | HanseError]] = {}
        for alias, names in call.targets.remotes.items():
            work[alias] = self._settled(call, alias, RESOLVE, msgspec.structs.replace(request, indices=names))
        outcomes = await all_or_none(work)
        answer = resolve_local(self._cluster.state, call.targets) if call.targets.has_local else {}
        sections: dict[str, list[dict[str, Any]]] = {
            key: list(answer.get(key, ())) for key in ("indices", "aliases", "data_streams")
        }
        for alias, outcome in outcomes.items():
            if isinstance(outcome, HanseError):
                continue
            for key, entries in sections.items():
                entries.extend({**entry, "name": f"{alias}:{entry['name']}"} for entry in outcome.get(key, ()))
        return {key: sorted(entries, key=lambda entry: entry["name"]) for key, entries in sections.items()}

    def _skips(self, alias: str) -> bool:
        return self._remotes.skip_unavailable(alias)

    async def _settled(self, call: Call, alias: str, action: Action[Any, Any], request: Any) -> Any:
        """The remote's answer; its error when `skip_unavailable` allows to go on without it, raised otherwise."""
        outcome = await self._outcome(call, alias, action, request)
        if isinstance(outcome, HanseError) and not self._skips(alias):
            raise wrapped(alias, outcome)
        return outcome

    async def _outcome(self, call: Call, alias: str, action: Action[Any, Any], request: Any) -> Any:
        try:
            return await self._remotes.call(alias, action, request, call.identity, opaque_id=call.origin.opaque_id)
        except HanseError as error:
            return error


def _asked(request: SearchRequest, alias: str, names: tuple[str, ...], *, looks_first: bool) -> SearchRequest:
    """What a remote is asked. `looks_first`: where that stands for Elasticsearch's `search_shards` call, too, which
    looks at shards before they are searched however few they are."""
    asked = msgspec.structs.replace(request, indices=names, cluster_alias=alias)
    return msgspec.structs.replace(asked, pre_filter_shard_size=0) if looks_first else asked


def is_minimized(request: SearchRequest) -> bool:
    """Whether each cluster searches on its own terms, or all shards of all clusters count as those of one search.

    Either way one call goes to each cluster. What switches it off: spec, ccs.md §3.
    """
    body = parse_request(request)
    return (
        request.ccs_minimize_roundtrips
        and request.search_type == "query_then_fetch"
        and body.pit_id is None
        and not (body.collapse or {}).get("inner_hits")
    )


def wrapped(alias: str, cause: HanseError) -> RemoteTransportError:
    """The error of a remote cluster as the caller gets it: REST shows the cause, with its status."""
    error = RemoteTransportError(f"error while communicating with remote cluster [{alias}]", caused_by=cause)
    error.status = cause.status
    return error


async def all_or_none(work: Mapping[str, Coroutine[Any, Any, R | HanseError]]) -> dict[str, R | HanseError]:
    """Awaits everything side by side; the first that raises cancels the others (remotes get a cancel frame)."""
    return dict(zip(work, await together(list(work.values())), strict=True))


def register(
    registry: ActionRegistry,
    cluster: ClusterService,
    remotes: RemoteClusters,
    distribution: Distribution,
    questions: ShardQuestions,
) -> None:
    searches = CrossClusterSearch(cluster, remotes, distribution, questions)
    registry.register(SEARCH, searches.search)
    registry.register(FIELD_CAPS, searches.field_caps)
    registry.register(RESOLVE, searches.resolve)
