"""The embedded engine of one-node clusters: cluster state and commit log in SQLite files of the data folder."""
