"""Every error a client can see: Elasticsearch's type, reason, status and extra fields.

Rooms raise these with full wording; `rest/errors.py` and `transport/wire_errors.py` are the only renderers.
Foreign exceptions (OSError, ssl, apsw, tantivy) are translated where the library is called, `raise ... from`.
Imports nothing of ours. Tests: tests/test_errors.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

_BY_TYPE: dict[str, type[HanseError]] = {}


class HanseError(Exception):
    """An error with Elasticsearch's shape.

    `metadata` holds the extra members rendered beside type and reason (index, resource.id, header, ...).
    `caused_by` is another HanseError; `root_causes` defaults to the innermost meaning of this error, itself.
    """

    type: ClassVar[str] = "exception"
    status: int = 500

    def __init__(
        self,
        reason: str,
        *,
        caused_by: HanseError | None = None,
        root_causes: Sequence[HanseError] | None = None,
        headers: Mapping[str, Sequence[str]] | None = None,
        **metadata: Any,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.caused_by = caused_by
        self.root_causes = (self,) if root_causes is None else tuple(root_causes)
        self.headers: dict[str, list[str]] = {name: list(values) for name, values in (headers or {}).items()}
        self.metadata: dict[str, Any] = metadata
        self.name = type(self).type

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        _BY_TYPE.setdefault(cls.type, cls)

    def with_metadata(self, **metadata: Any) -> HanseError:
        """Adds members (keys with dots may come through a mapping unpacked by the caller) and returns itself."""
        self.metadata.update(metadata)
        return self


class IllegalArgumentError(HanseError):
    type = "illegal_argument_exception"
    status = 400


class ParsingError(HanseError):
    """A body or query that is JSON but not what the API understands; metadata line and col where known."""

    type = "parsing_exception"
    status = 400


class XContentParseError(HanseError):
    type = "x_content_parse_exception"
    status = 400


class JsonParseError(HanseError):
    """Malformed JSON."""

    type = "json_parse_exception"
    status = 400


class NotXContentError(HanseError):
    type = "not_x_content_exception"
    status = 400


class ActionRequestValidationError(HanseError):
    type = "action_request_validation_exception"
    status = 400

    @classmethod
    def of(cls, *problems: str) -> ActionRequestValidationError:
        """`Validation Failed: 1: a;2: b;`, as Elasticsearch numbers them."""
        return cls("Validation Failed: " + "".join(f"{i}: {p};" for i, p in enumerate(problems, 1)))


class MediaTypeHeaderError(HanseError):
    type = "media_type_header_exception"
    status = 400


class ContentTooLongError(HanseError):
    type = "content_too_long_exception"
    status = 413


class DocumentParsingError(HanseError):
    type = "document_parsing_exception"
    status = 400


class MapperParsingError(HanseError):
    type = "mapper_parsing_exception"
    status = 400


class StrictDynamicMappingError(HanseError):
    type = "strict_dynamic_mapping_exception"
    status = 400


class InvalidIndexNameError(HanseError):
    type = "invalid_index_name_exception"
    status = 400


class InvalidAliasNameError(HanseError):
    type = "invalid_alias_name_exception"
    status = 400


class ResourceAlreadyExistsError(HanseError):
    type = "resource_already_exists_exception"
    status = 400


class ResourceNotFoundError(HanseError):
    type = "resource_not_found_exception"
    status = 404


class IndexNotFoundError(HanseError):
    type = "index_not_found_exception"
    status = 404

    @classmethod
    def of(cls, index: str, uuid: str = "_na_") -> IndexNotFoundError:
        error = cls(f"no such index [{index}]", index_uuid=uuid, index=index)
        error.metadata = {"resource.type": "index_or_alias", "resource.id": index, **error.metadata}
        return error


class AliasesNotFoundError(HanseError):
    type = "aliases_not_found_exception"
    status = 404


class DocumentMissingError(HanseError):
    type = "document_missing_exception"
    status = 404


class RoutingMissingError(HanseError):
    type = "routing_missing_exception"
    status = 400

    @classmethod
    def of(cls, index: str, id: str) -> RoutingMissingError:
        return cls(f"routing is required for [{index}]/[{id}]", index_uuid="_na_", index=index)


class IndexClosedError(HanseError):
    type = "index_closed_exception"
    status = 400


class VersionConflictError(HanseError):
    type = "version_conflict_engine_exception"
    status = 409


class RetentionLeaseNotFoundError(HanseError):
    type = "retention_lease_not_found_exception"
    status = 404


class RetentionLeaseAlreadyExistsError(HanseError):
    type = "retention_lease_already_exists_exception"
    status = 400


class StatusError(HanseError):
    """An error whose status the raiser names (Elasticsearch's ElasticsearchStatusException)."""

    type = "status_exception"

    def __init__(self, reason: str, status: int, **kwargs: Any) -> None:
        super().__init__(reason, **kwargs)
        self.status = status


class ClusterBlockError(HanseError):
    type = "cluster_block_exception"
    status = 403


class SecurityError(HanseError):
    """401 or 403; the gate raises it, and whoever cannot do what it granted under the rules it attached."""

    type = "security_exception"
    status = 403

    def __init__(self, reason: str, status: int = 403, **kwargs: Any) -> None:
        super().__init__(reason, **kwargs)
        self.status = status


class NoSuchRemoteClusterError(HanseError):
    type = "no_such_remote_cluster_exception"
    status = 404

    @classmethod
    def of(cls, alias: str) -> NoSuchRemoteClusterError:
        return cls(f"no such remote cluster: [{alias}]")


class RemoteTransportError(HanseError):
    """Wraps what a remote cluster answered; REST renders the cause, statuses follow it."""

    type = "remote_transport_exception"


class ConnectTransportError(HanseError):
    """No connection, or none any more: dial, TLS or hello failed. The reason says which check and what mends it."""

    type = "connect_transport_exception"
    status = 500


class NodeDisconnectedError(ConnectTransportError):
    type = "node_disconnected_exception"


class NodeNotConnectedError(ConnectTransportError):
    """The connection was gone before anything was sent, so the call may be made elsewhere."""

    type = "node_not_connected_exception"


class NoSeedNodeLeftError(ConnectTransportError):
    type = "no_seed_node_left_exception"


class ReceiveTimeoutError(HanseError):
    type = "receive_timeout_transport_exception"
    status = 500


class TaskCancelledError(HanseError):
    type = "task_cancelled_exception"
    status = 400


class SearchContextMissingError(HanseError):
    type = "search_context_missing_exception"
    status = 404


class SearchPhaseExecutionError(HanseError):
    type = "search_phase_execution_exception"
    status = 400


class AggregationExecutionError(HanseError):
    """An aggregation that parsed but cannot be carried out on these fields or joined with these partial answers."""

    type = "aggregation_execution_exception"
    status = 400


class TooManyBucketsError(AggregationExecutionError):
    type = "too_many_buckets_exception"
    status = 400

    @classmethod
    def of(cls, max_buckets: int, wanted: int | None = None) -> TooManyBucketsError:
        """`wanted` is how many were asked for, where the request says so."""
        found = "this number of buckets was exceeded" if wanted is None else f"was [{wanted}]"
        return cls(
            f"Trying to create too many buckets. Must be less than or equal to: [{max_buckets}] but {found}. "
            "This limit can be set by changing the [search.max_buckets] cluster level setting.",
            max_buckets=max_buckets,
        )


class ArrayIndexOutOfBoundsError(HanseError):
    """A value that a histogram of significant digits cannot hold (the shard fails under Java's own name)."""

    type = "array_index_out_of_bounds_exception"
    status = 400


class QueryShardError(HanseError):
    type = "query_shard_exception"
    status = 400


class ExpensiveQueryError(HanseError):
    """A query that `search.allow_expensive_queries` forbids. Elasticsearch says so with its plainest type."""

    status = 400


class RejectedExecutionError(HanseError):
    type = "es_rejected_execution_exception"
    status = 429


class TimeoutElapsedError(HanseError):
    type = "timeout_exception"
    status = 429


class FencedError(HanseError):
    """A commit log or state store refused a write whose expected position or revision was not the current one."""

    type = "fenced_exception"
    status = 409


class ShardFailedError(HanseError):
    """A copy that refuses to serve because what is on disk contradicts itself."""

    type = "shard_failed_exception"
    status = 503


class LogDamagedError(ShardFailedError):
    """A shard's log contradicts the copy of this node, or itself: the copy stops serving and keeps what it has."""


class UnavailableShardsError(HanseError):
    """A shard's log did not answer in time. Whether a write that waited for it took place is not known."""

    type = "unavailable_shards_exception"
    status = 503


class NoShardAvailableError(HanseError):
    """No copy of the shard answers now."""

    type = "no_shard_available_action_exception"
    status = 503


class RetryOnPrimaryError(HanseError):
    """The copy that was asked is not the primary (any more); nothing was done, so the right one may be asked."""

    type = "retry_on_primary_exception"
    status = 503


class FailedToCommitClusterStateError(HanseError):
    """The store of the cluster state did not answer in time. Whether the change took place is not known."""

    type = "failed_to_commit_cluster_state_exception"
    status = 503


class SettingsError(HanseError):
    """elasticsearch.yml, -E or the keystore: the node does not start. The reason names the setting."""

    type = "settings_exception"
    status = 400


class UnknownRemoteError(HanseError):
    """An error type that a peer sent and this version does not know; `name` keeps the peer's type."""

    type = "exception"


def error_class(type_name: str) -> type[HanseError] | None:
    """The class that carries this Elasticsearch type, None when nobody here raises it."""
    return _BY_TYPE.get(type_name)
