"""Runs every bench."""

from bench import clusters, node, seam, tls_cost

print("-- one node", flush=True)
node.main()
print("-- TLS", flush=True)
tls_cost.main()
print("-- two clusters", flush=True)
clusters.main()
print("-- the seams to durability and consensus", flush=True)
seam.main()
