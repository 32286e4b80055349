"""From the `aggs` member of a search to a plan: strict, with Elasticsearch's messages.

Every aggregation and pipeline is registered here by name; what Elasticsearch has and this server has not is refused by
name, what nobody knows with a suggestion. Tests: tests/search/aggregation/test_parse.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from hanse.errors import ActionRequestValidationError, IllegalArgumentError, ParsingError
from hanse.search.aggregation.auto_date_histogram import AutoDateHistogram
from hanse.search.aggregation.bucket_paths import tokens
from hanse.search.aggregation.composite import Composite
from hanse.search.aggregation.filters import AdjacencyMatrix, Filter, Filters, Global, Missing, Nested, ReverseNested
from hanse.search.aggregation.histograms import AnyHistogram, DateHistogram, Histogram
from hanse.search.aggregation.metrics import Avg, ExtendedStats, Max, Min, StatsMetric, Sum, ValueCount, WeightedAvg
from hanse.search.aggregation.multi_terms import MultiTerms
from hanse.search.aggregation.node import Aggregation, Pipeline
from hanse.search.aggregation.parameters import Parameters, did_you_mean, token_name
from hanse.search.aggregation.pipelines import (
    HISTOGRAM_PARENTS,
    AvgBucket,
    BucketSort,
    CumulativeSum,
    Derivative,
    ExtendedStatsBucket,
    MaxBucket,
    MinBucket,
    MovingFunction,
    PathPipeline,
    PercentilesBucket,
    SerialDiff,
    StatsBucket,
    SumBucket,
)
from hanse.search.aggregation.ranges import DateRange, IpRange, NumericRange
from hanse.search.aggregation.sketch_metrics import Cardinality, MedianAbsoluteDeviation, PercentileRanks, Percentiles
from hanse.search.aggregation.terms import RareTerms, Terms
from hanse.search.aggregation.top_hits import TopHitsAggregation

AGGREGATIONS: Mapping[str, Any] = {
    kind.type: kind
    for kind in (
        AdjacencyMatrix, AutoDateHistogram, Avg, Cardinality, Composite, DateHistogram, DateRange, ExtendedStats,
        Filter, Filters, Global, Histogram, IpRange, Max, MedianAbsoluteDeviation, Min, Missing, MultiTerms, Nested,
        NumericRange, PercentileRanks, Percentiles, RareTerms, ReverseNested, StatsMetric, Sum, Terms,
        TopHitsAggregation, ValueCount, WeightedAvg,
    )
}  # fmt: skip
PIPELINES: Mapping[str, Any] = {
    kind.type: kind
    for kind in (
        AvgBucket, BucketSort, CumulativeSum, Derivative, ExtendedStatsBucket, MaxBucket, MinBucket, MovingFunction,
        PercentilesBucket, SerialDiff, StatsBucket, SumBucket,
    )
}  # fmt: skip
UNSUPPORTED = frozenset(
    [
        "boxplot",
        "bucket_correlation",
        "bucket_count_ks_test",
        "bucket_script",
        "bucket_selector",
        "categorize_text",
        "change_point",
        "children",
        "cumulative_cardinality",
        "diversified_sampler",
        "frequent_item_sets",
        "geo_bounds",
        "geo_centroid",
        "geo_distance",
        "geo_line",
        "geohash_grid",
        "geohex_grid",
        "geotile_grid",
        "inference",
        "ip_prefix",
        "matrix_stats",
        "moving_percentiles",
        "normalize",
        "parent",
        "random_sampler",
        "rate",
        "sampler",
        "scripted_metric",
        "significant_terms",
        "significant_text",
        "string_stats",
        "t_test",
        "time_series",
        "top_metrics",
        "variable_width_histogram",
    ]
)
_VALID_NAME = re.compile(r"[^\[\]>]+")
_SECTIONS = ("aggs", "aggregations")
MAX_DEPTH = 50


def parse_level(body: Any, parents: tuple[Aggregation, ...]) -> tuple[list[Aggregation], list[Pipeline]]:
    """The aggregations and pipelines of one `aggs` object."""
    if not isinstance(body, dict):
        raise ParsingError("Expected [START_OBJECT] under [aggs]")
    if len(parents) > MAX_DEPTH:
        raise ParsingError(f"The aggregations are nested deeper than [{MAX_DEPTH}] levels")
    nodes: list[Aggregation] = []
    pipelines: list[Pipeline] = []
    for name, definition in body.items():
        if not _VALID_NAME.fullmatch(name):
            raise ParsingError(
                f"Invalid aggregation name [{name}]. Aggregation names can contain any character except '[', ']', and "
                "'>'"
            )
        found = _parse_one(name, definition, parents)
        if isinstance(found, Pipeline):
            pipelines.append(found)
        else:
            nodes.append(found)
    for pipeline in pipelines:
        _check_pipeline(pipeline, nodes, pipelines, parents)
    return nodes, pipelines


def _parse_one(name: str, definition: Any, parents: tuple[Aggregation, ...]) -> Aggregation | Pipeline:
    if not isinstance(definition, dict):
        raise ParsingError(
            f"Aggregation definition for [{name} starts with a [{token_name(definition)}], expected a [START_OBJECT]."
        )
    kind, body, meta, below = None, None, None, None
    for key, value in definition.items():
        if key == "meta":
            if not isinstance(value, dict):
                raise ParsingError(f"Expected [START_OBJECT] under [meta], but got a [VALUE] in [{name}]")
            meta = value
        elif key in _SECTIONS:
            if below is not None:
                raise ParsingError(f"Found two sub aggregation definitions under [{name}]")
            below = value
        elif kind is not None:
            raise ParsingError(f"Found two aggregation type definitions in [{name}]: [{kind}] and [{key}]")
        else:
            kind, body = key, value
    if kind is None:
        raise ParsingError(f"Missing definition for aggregation [{name}]")
    node = _build(kind, name, body)
    node.meta = meta
    if below is not None:
        _attach(node, below, parents)
    if isinstance(node, Terms):
        _check_order(node)
    _check_parents(node, parents)
    return node


def _build(kind: str, name: str, body: Any) -> Aggregation | Pipeline:
    if kind in UNSUPPORTED:
        raise IllegalArgumentError(f"aggregation type [{kind}] of [{name}] is not supported by this server")
    known = AGGREGATIONS.get(kind) or PIPELINES.get(kind)
    if known is None:
        hint = did_you_mean(kind, [*AGGREGATIONS, *PIPELINES])
        raise ParsingError(f"Unknown aggregation type [{kind}]{hint}")
    if known is Filter:
        return Filter.parse_body(name, body)
    parameters = Parameters(kind, name, body)
    node: Aggregation | Pipeline = known.parse(name, parameters)
    parameters.finish()
    return node


def _attach(node: Aggregation | Pipeline, below: Any, parents: tuple[Aggregation, ...]) -> None:
    if isinstance(node, Pipeline) or not node.takes_children:
        if below == {}:
            return
        category = "pipeline" if isinstance(node, Pipeline) else node.type
        raise ParsingError(f"Aggregator [{node.name}] of type [{category}] cannot accept sub-aggregations")
    node.children, node.pipelines = parse_level(below, (*parents, node))


def _check_order(node: Terms) -> None:
    names = {child.name for child in node.children}
    for path, _ in node.order:
        first = tokens(path)[0]
        if path not in ("_count", "_key") and first not in names:
            raise IllegalArgumentError(
                f"Invalid aggregator order path [{path}]. The provided aggregation [{first}] either does not exist, or "
                "is a pipeline aggregation and cannot be used to sort the buckets."
            )


def _check_parents(node: Aggregation | Pipeline, parents: tuple[Aggregation, ...]) -> None:
    if not parents:
        return
    if isinstance(node, Global):
        raise IllegalArgumentError(
            f"Aggregation [{node.name}] cannot have a global sub-aggregation [{node.name}]. Global aggregations can "
            "only be defined as top level aggregations"
        )
    if isinstance(node, Composite):
        for parent in reversed(parents):
            if not isinstance(parent, Filter | Nested):
                raise IllegalArgumentError(
                    "[composite] aggregation cannot be used with a parent aggregation of type: "
                    f"[{type(parent).__name__}]"
                )


def _check_pipeline(
    pipeline: Pipeline, nodes: list[Aggregation], pipelines: list[Pipeline], parents: tuple[Aggregation, ...]
) -> None:
    if pipeline.is_sibling:
        assert isinstance(pipeline, PathPipeline)
        first = next((node for node in nodes if node.name == pipeline.path[0]), None)
        if first is None:
            raise ActionRequestValidationError.of(
                f"Aggregation [{pipeline.path[0]}] does not exist for buckets_path aggregation "
                f"[{pipeline.name}]: {pipeline.paths['buckets_path']}"
            )
        if not first.takes_children:
            raise ActionRequestValidationError.of(
                "Unable to find unqualified multi-bucket aggregation in buckets_path. Path must include a multi-bucket "
                f"aggregation for aggregation [{pipeline.name}] found :{type(first).__name__} for buckets path: "
                f"{pipeline.paths['buckets_path']}"
            )
        return
    if not parents:
        raise ActionRequestValidationError.of(
            f"{pipeline.type} aggregation [{pipeline.name}] must be declared inside of another aggregation"
        )
    parent = parents[-1]
    if isinstance(pipeline, PathPipeline):
        if pipeline.needs_histogram and parent.type not in HISTOGRAM_PARENTS:
            raise ActionRequestValidationError.of(
                f"{pipeline.type} aggregation [{pipeline.name}] must have a histogram, date_histogram or "
                "auto_date_histogram as parent"
            )
        is_gappy = isinstance(parent, AnyHistogram) and not isinstance(parent, AutoDateHistogram)
        if pipeline.needs_histogram and is_gappy and parent.min_doc_count != 0:  # type: ignore[attr-defined]
            raise ActionRequestValidationError.of(
                f"parent histogram of {pipeline.type} aggregation [{pipeline.name}] must have min_doc_count of 0"
            )
        known = {node.name for node in nodes} | {other.name for other in pipelines} | {"_count", "_key"}
        if pipeline.path[0] not in known:
            raise ActionRequestValidationError.of(f"No aggregation found for path [{pipeline.paths['buckets_path']}]")
