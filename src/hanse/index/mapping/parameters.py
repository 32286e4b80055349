"""Which types and parameters a mapping may name, and their defaults.

Types in STORED_TYPES are accepted so that mappings made for Elasticsearch work: their values stay in `_source` and are
shown, but nothing can search, sort or aggregate them. Everything else that is not listed is refused.
Tests: tests/index/test_mapping_definition.py.
"""

from __future__ import annotations

from typing import Any

from hanse.index.mapping.field_type import KIND_OF_TYPE

STORED_TYPES = frozenset(
    {
        "binary",
        "dense_vector",
        "sparse_vector",
        "geo_shape",
        "shape",
        "point",
        "histogram",
        "aggregate_metric_double",
        "rank_feature",
        "rank_features",
        "integer_range",
        "long_range",
        "float_range",
        "double_range",
        "date_range",
        "ip_range",
    }
)
FIELD_TYPES = frozenset(KIND_OF_TYPE) | STORED_TYPES | {"alias"}
OBJECT_TYPES = frozenset({"object", "nested"})

_COMMON: dict[str, Any] = {"copy_to": [], "fields": {}, "meta": {}, "store": False}
_COLUMN: dict[str, Any] = {**_COMMON, "index": True, "doc_values": True, "null_value": None}
_SERIES: dict[str, Any] = {"time_series_dimension": False, "time_series_metric": None, "synthetic_source_keep": None}
_NUMBER: dict[str, Any] = {**_COLUMN, **_SERIES, "coerce": True, "ignore_malformed": False}
_KEYWORD: dict[str, Any] = {
    **_COLUMN,
    **_SERIES,
    "ignore_above": 2**31 - 1,
    "eager_global_ordinals": False,
    "norms": False,
    "index_options": "docs",
    "similarity": "BM25",
    "split_queries_on_whitespace": False,
    "normalizer": None,
}
_TEXT: dict[str, Any] = {
    **_COMMON,
    "analyzer": "default",
    "search_analyzer": "default",
    "search_quote_analyzer": "default",
    "position_increment_gap": 100,
    "index": True,
    "index_options": "positions",
    "index_phrases": False,
    "index_prefixes": None,
    "norms": True,
    "similarity": "BM25",
    "term_vector": "no",
    "fielddata": False,
    "fielddata_frequency_filter": None,
    "eager_global_ordinals": False,
    "synthetic_source_keep": None,
}
_DATE: dict[str, Any] = {
    **_COLUMN,
    "format": "strict_date_optional_time||epoch_millis",
    "locale": "en",
    "ignore_malformed": False,
    "synthetic_source_keep": None,
}

PARAMETERS: dict[str, dict[str, Any]] = {
    "text": _TEXT,
    "match_only_text": {**_COMMON, "analyzer": "default", "search_analyzer": "default"},
    "keyword": _KEYWORD,
    "version": {**_COMMON},
    "constant_keyword": {"meta": {}, "value": None},
    "wildcard": {**_COMMON, "null_value": None, "ignore_above": 2**31 - 1},
    **dict.fromkeys(("long", "integer", "short", "byte", "double", "float", "half_float"), _NUMBER),
    "unsigned_long": _NUMBER,
    "scaled_float": {**_NUMBER, "scaling_factor": None},
    "date": _DATE,
    "date_nanos": {**_DATE, "format": "strict_date_optional_time_nanos||epoch_millis"},
    "boolean": {**_COLUMN, **_SERIES, "ignore_malformed": False},
    "ip": {**_COLUMN, **_SERIES, "ignore_malformed": False},
    "geo_point": {**_COLUMN, **_SERIES, "ignore_malformed": False, "ignore_z_value": True},
    "flattened": {
        **_KEYWORD,
        "depth_limit": 20,
        "time_series_dimensions": [],
        "preserve_leaf_arrays": None,
    },
    "alias": {"path": None},
}
"""Type to parameters with their defaults; a stored type takes any."""

UPDATEABLE = frozenset(
    {
        "coerce",
        "copy_to",
        "depth_limit",
        "eager_global_ordinals",
        "fielddata",
        "fielddata_frequency_filter",
        "fields",
        "ignore_above",
        "ignore_malformed",
        "ignore_z_value",
        "meta",
        "path",
        "search_analyzer",
        "search_quote_analyzer",
        "split_queries_on_whitespace",
        "synthetic_source_keep",
    }
)
NULL_VALUE_UPDATEABLE = frozenset({"date", "date_nanos", "ip"})
BOOLEANS = frozenset(
    {
        "coerce",
        "doc_values",
        "eager_global_ordinals",
        "fielddata",
        "ignore_malformed",
        "ignore_z_value",
        "index",
        "index_phrases",
        "norms",
        "split_queries_on_whitespace",
        "store",
        "time_series_dimension",
    }
)
OBJECT_PARAMETERS = frozenset(
    {"type", "dynamic", "enabled", "subobjects", "properties", "include_in_parent", "include_in_root"}
    | {"synthetic_source_keep", "store_array_source"}
)
ROOT_PARAMETERS = frozenset(
    {
        "_data_stream_timestamp",
        "_doc_count",
        "_field_names",
        "_meta",
        "_routing",
        "_size",
        "_source",
        "date_detection",
        "dynamic",
        "dynamic_date_formats",
        "dynamic_templates",
        "enabled",
        "numeric_detection",
        "properties",
        "runtime",
        "subobjects",
    }
)
TIMESTAMP = "@timestamp"
"""The field that every document of a data stream has."""
DYNAMIC_VALUES = ("true", "false", "strict", "runtime")
METADATA_FIELDS = frozenset(
    {"_id", "_index", "_source", "_routing", "_seq_no", "_primary_term", "_version", "_field_names", "_ignored"}
    | {"_nested_path", "_tier", "_type", "_doc_count", "_feature", "_index_mode"}
)
