"""Runs every bench."""

from bench import clusters, node

print("-- one node", flush=True)
node.main()
print("-- two clusters", flush=True)
clusters.main()
