"""Index administration: create, delete, open, close, mappings, settings, aliases, templates, statistics."""
