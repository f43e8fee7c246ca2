"""EdgeRoute: one local daemon in front of every model that a machine can reach."""

__version__ = "0.1.0"
