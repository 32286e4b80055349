"""Data streams: what makes one, what may be written, how it is named, shown, rolled over and deleted."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from hanse.cluster.state import AliasMetadata, ClusterState, IndexMetadata
from hanse.errors import HanseError, IllegalArgumentError, ResourceAlreadyExistsError
from hanse.index.administration.create import build, refuse_index_name, with_stream
from hanse.index.administration.data_streams import (
    backing_indices,
    backing_name,
    generation,
    refuse_newest,
    refuse_overwriting,
    refuse_stream_name,
)
from hanse.index.administration.rollover import turned
from hanse.index.mapping import DocumentMapper, Mapping

NOW_MS = 1_795_910_400_000
"""2026-11-29"""


def state_with(template: dict[str, Any], **more: dict[str, Any]) -> ClusterState:
    templates = {"logs": {"index_patterns": ["logs-*"], "data_stream": {}, "template": template}, **more}
    return ClusterState("berlin", "u", index_templates=templates)


def newest(state: ClusterState, stream: str = "logs-app") -> IndexMetadata:
    return backing_indices(state, stream)[-1]


def test_a_backing_index_is_hidden_dated_counted_and_what_is_written_goes_there() -> None:
    index = newest(with_stream(state_with({"settings": {"index.number_of_shards": "2"}}), "logs-app"))
    assert backing_name("logs-app", 1, NOW_MS) == ".ds-logs-app-2026.11.29-000001"
    assert generation(index) == 1
    assert (index.is_hidden, index.number_of_shards, index.data_stream) == (True, 2, "logs-app")
    assert index.aliases == {"logs-app": AliasMetadata(is_write_index=True)}
    assert index.shown_aliases == {}
    assert index.mappings["properties"]["@timestamp"] == {"type": "date"}
    assert index.mappings["_data_stream_timestamp"] == {"enabled": True}


def test_the_template_may_say_more_of_the_timestamp_but_not_that_it_is_no_date() -> None:
    own = {"properties": {"@timestamp": {"type": "date_nanos"}}}
    assert newest(with_stream(state_with({"mappings": own}), "logs-app")).mappings["properties"] == own["properties"]
    number = {"properties": {"@timestamp": {"type": "long"}}}
    with pytest.raises(IllegalArgumentError, match=r"is of type \[long\], but \[date,date_nanos\] is expected"):
        with_stream(state_with({"mappings": number}), "logs-app")


def test_a_rollover_keeps_what_there_is_and_turns_the_writes() -> None:
    state = with_stream(state_with({}), "logs-app")
    first = newest(state)
    state = state.with_index(msgspec.structs.replace(first, aliases={**first.aliases, "all": AliasMetadata()}))
    name = backing_name("logs-app", 2, NOW_MS)
    state = turned(state.with_index(build(state, name, {}, "logs-app")), "logs-app", first.name, name)
    old, new = backing_indices(state, "logs-app")
    assert (old.name, new.name) == (first.name, name)
    assert old.aliases["logs-app"].is_write_index is False
    assert new.aliases == {"logs-app": AliasMetadata(is_write_index=True), "all": AliasMetadata()}


def test_nobody_else_gets_the_name_of_a_stream() -> None:
    state = with_stream(state_with({}), "logs-app")
    with pytest.raises(ResourceAlreadyExistsError, match=r"data_stream \[logs-app\] already exists"):
        with_stream(state, "logs-app")
    with pytest.raises(ResourceAlreadyExistsError, match=r"data_stream \[logs-app\] already exists"):
        build(state, "logs-app", {})
    with pytest.raises(HanseError, match="an index or data stream exists with the same name"):
        refuse_index_name(state, "logs-app")
    with pytest.raises(IllegalArgumentError, match=r"matches with template \[logs\] that creates data streams only"):
        refuse_stream_name(state, "logs-other")
    refuse_stream_name(state, "metrics")


def test_a_template_of_higher_priority_decides_whether_it_is_a_stream() -> None:
    plain = {"index_patterns": ["logs-plain*"], "priority": 10}
    refuse_stream_name(state_with({}, plain=plain), "logs-plain-1")


def test_only_older_backing_indices_can_be_deleted_by_themselves() -> None:
    state = with_stream(state_with({}), "logs-app")
    first = newest(state)
    with pytest.raises(IllegalArgumentError, match=r"is the write index for data stream \[logs-app\]"):
        refuse_newest(state, first)
    name = backing_name("logs-app", 2, NOW_MS)
    state = turned(state.with_index(build(state, name, {}, "logs-app")), "logs-app", first.name, name)
    refuse_newest(state, state.indices[first.name])
    refuse_newest(state, IndexMetadata("plain", "u", {}))


@pytest.mark.parametrize("op", ["index", "update", "delete"])
def test_through_the_stream_documents_are_only_added(op: str) -> None:
    state = with_stream(state_with({}), "logs-app")
    behind = newest(state).name
    with pytest.raises(IllegalArgumentError, match=r"^only write ops with an op_type of create are allowed"):
        refuse_overwriting(state, "logs-app", behind, op)
    refuse_overwriting(state, "logs-app", behind, "create")
    refuse_overwriting(state, behind, behind, op)


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        (b'{"message": "x"}', "data stream timestamp field .@timestamp. is missing"),
        (b'{"@timestamp": null}', "data stream timestamp field .@timestamp. is missing"),
        (b'{"@timestamp": ["2026-11-29", "2026-11-30"]}', "encountered multiple values"),
    ],
)
def test_every_document_of_a_stream_is_of_one_moment(source: bytes, fault: str) -> None:
    index = newest(with_stream(state_with({}), "logs-app"))
    mapper = DocumentMapper(Mapping.from_metadata(index.mappings, index.slots, index.settings))
    with pytest.raises(HanseError, match=fault):
        mapper.map(source)
    mapper.map(b'{"message": "x"}', is_part=True)
    mapper.map(b'{"@timestamp": ["2026-11-29"]}')
