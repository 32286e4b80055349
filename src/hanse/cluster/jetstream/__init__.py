"""The JetStream engine: cluster state in a replicated bucket, each shard's batches in a replicated stream.

Everything here but settings.py imports `nats` (173 ms), so it is imported only when the engine is chosen.
"""
