"""Hanse: a search server for clusters that trust each other and nobody else."""

__version__ = "0.1.0"
