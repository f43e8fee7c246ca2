"""Adapters that read the machine: every file under a root, every failure a `Gap`."""
