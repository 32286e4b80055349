"""Trust in one step: an invitation of one cluster, accepted by another. `protocol.py` tells how and why."""
