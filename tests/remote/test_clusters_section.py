from hanse.errors import ConnectTransportError
from hanse.remote.clusters_section import LOCAL, clusters_section, failed_cluster, finished_cluster
from hanse.search.request import SearchResult, ShardFailure


def test_a_cluster_that_answered_in_full() -> None:
    result = SearchResult(took_ms=3, total_shards=2, successful=2)
    details = finished_cluster(("logs-*",), result, skip_unavailable=True)
    assert details["status"] == "successful"
    assert details["_shards"] == {"total": 2, "successful": 2, "skipped": 0, "failed": 0}
    assert details["indices"] == "logs-*"


def test_some_failed_shards_are_partial_all_failed_are_not() -> None:
    failure = ShardFailure(0, "i", {"type": "t", "reason": "r"})
    some = SearchResult(total_shards=2, successful=1, failed=1, failures=[failure])
    every = SearchResult(total_shards=1, failed=1, failures=[failure])
    assert finished_cluster((), some, skip_unavailable=True)["status"] == "partial"
    assert finished_cluster((), every, skip_unavailable=True)["status"] == "skipped"
    assert finished_cluster((), every, skip_unavailable=False)["status"] == "failed"


def test_a_skipped_cluster_says_why() -> None:
    details = failed_cluster(("a", "b"), ConnectTransportError("[][127.0.0.1:1] connect_exception"))
    assert details["status"] == "skipped"
    assert details["failures"][0]["shard"] == -1
    assert details["failures"][0]["reason"]["type"] == "connect_transport_exception"


def test_counts() -> None:
    section = clusters_section(
        {LOCAL: {"status": "successful"}, "a": {"status": "skipped"}, "b": {"status": "partial"}}
    )
    assert (section["total"], section["successful"], section["skipped"], section["partial"]) == (3, 1, 1, 1)
