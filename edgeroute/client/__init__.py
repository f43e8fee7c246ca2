"""Talking to a running daemon: over HTTP for our own commands, over `rpc.sock` for Python apps."""

from edgeroute.client.http import Client, DaemonUnreachable

__all__ = ["Client", "DaemonUnreachable"]
