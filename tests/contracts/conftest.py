"""A nats-server for the contract tests of the JetStream engine."""

from tests.nats_servers import connect, nats_server

__all__ = ["connect", "nats_server"]
