"""A nats-server for the tests of shards whose log is a stream."""

from tests.nats_servers import connect, nats_server

__all__ = ["connect", "nats_server"]
