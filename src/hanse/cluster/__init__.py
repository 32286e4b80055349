"""What the cluster knows about itself: state, updates, health; StateStore and CommitLog with their engines."""
