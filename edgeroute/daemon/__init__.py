"""The composition root: the only one that knows every adapter."""

from edgeroute.daemon.process import run

__all__ = ["run"]
