"""Prompts written for this project, one module per task.

Each module has `write(rng)`, which yields `Prompt`s: the same ones for the same seed. Nothing here
comes from a data set.
"""
