"""Runs every bench."""

from bench import clusters, node, tls_cost

print("-- one node", flush=True)
node.main()
print("-- TLS", flush=True)
tls_cost.main()
print("-- two clusters", flush=True)
clusters.main()
