"""Registers the actions of index administration."""

from __future__ import annotations

from hanse.cluster.broadcast import Broadcast
from hanse.cluster.updates import ClusterService
from hanse.index.administration import requests
from hanse.index.administration.analyze import AnalyzeAction
from hanse.index.administration.create import IndexCreator
from hanse.index.administration.data_stream_actions import DataStreams
from hanse.index.administration.lifecycle import IndexLifecycle
from hanse.index.administration.maintenance import Maintenance
from hanse.index.administration.properties import IndexProperties
from hanse.index.administration.rollover import RolloverAction
from hanse.index.administration.search_shards import SearchShardsAction
from hanse.index.administration.statistics import IndexStatistics
from hanse.index.administration.template_actions import TemplateActions
from hanse.index.refreshing import Refreshing
from hanse.index.service import Indices
from hanse.transport.actions import ActionRegistry


def register(
    registry: ActionRegistry,
    cluster: ClusterService,
    indices: Indices,
    refreshing: Refreshing,
    broadcast: Broadcast,
) -> None:
    creator = IndexCreator(cluster, indices)
    lifecycle = IndexLifecycle(cluster, indices, refreshing)
    properties = IndexProperties(cluster, indices)
    streams = DataStreams(cluster, indices)
    statistics = IndexStatistics(broadcast, indices)
    templates = TemplateActions(cluster)
    statistics.register(registry)
    Maintenance(broadcast, indices).register(registry)
    registry.register(requests.CREATE, creator.create)
    registry.register(requests.AUTO_CREATE, creator.auto_create)
    registry.register(requests.DELETE, lifecycle.delete)
    registry.register(requests.CREATE_DATA_STREAM, streams.create)
    registry.register(requests.GET_DATA_STREAM, streams.get)
    registry.register(requests.DELETE_DATA_STREAM, streams.delete)
    registry.register(requests.OPEN, lifecycle.open)
    registry.register(requests.CLOSE, lifecycle.close)
    registry.register(requests.BLOCK, lifecycle.block)
    registry.register(requests.UNBLOCK, lifecycle.unblock)
    registry.register(requests.REFRESH, lifecycle.refresh)
    registry.register(requests.FLUSH, lifecycle.flush)
    registry.register(requests.GET_INDEX, properties.get_index)
    registry.register(requests.GET_MAPPINGS, properties.get_mappings)
    registry.register(requests.GET_FIELD_MAPPINGS, properties.get_mappings)
    registry.register(requests.PUT_MAPPING, properties.put_mapping)
    registry.register(requests.GET_SETTINGS, properties.get_settings)
    registry.register(requests.PUT_SETTINGS, properties.put_settings)
    registry.register(requests.GET_ALIASES, properties.get_aliases)
    registry.register(requests.UPDATE_ALIASES, properties.update_aliases)
    registry.register(requests.ROLLOVER, RolloverAction(cluster, indices, broadcast).rollover)
    registry.register(requests.SEARCH_SHARDS, SearchShardsAction(cluster, indices).search_shards)
    registry.register(requests.ANALYZE, AnalyzeAction(cluster).analyze)
    registry.register(requests.PUT_INDEX_TEMPLATE, templates.put_composable)
    registry.register(requests.GET_INDEX_TEMPLATE, templates.get_composable)
    registry.register(requests.DELETE_INDEX_TEMPLATE, templates.delete_composable)
    registry.register(requests.SIMULATE_INDEX_TEMPLATE, templates.simulate_index)
    registry.register(requests.SIMULATE_TEMPLATE, templates.simulate)
    registry.register(requests.PUT_COMPONENT_TEMPLATE, templates.put_component)
    registry.register(requests.GET_COMPONENT_TEMPLATE, templates.get_component)
    registry.register(requests.DELETE_COMPONENT_TEMPLATE, templates.delete_component)
    registry.register(requests.PUT_LEGACY_TEMPLATE, templates.put_legacy)
    registry.register(requests.GET_LEGACY_TEMPLATE, templates.get_legacy)
    registry.register(requests.DELETE_LEGACY_TEMPLATE, templates.delete_legacy)
