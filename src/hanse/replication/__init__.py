"""Cross-cluster replication: follow tasks over the change feed, their parameters, statistics and auto-follow."""
