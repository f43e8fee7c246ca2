"""Who may connect to a Unix socket of ours: this user, and root."""

import os
import socket
import struct
import sys
from typing import Any


def same_user(connection: Any) -> bool:
    """Whether a connection over a Unix socket was made by this user or by root."""
    if connection.family != socket.AF_UNIX:
        return False
    if sys.platform != "linux":  # there the 0700 folder alone decides
        return True
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    _pid, uid, _gid = struct.unpack("3i", credentials)
    return uid in (os.getuid(), 0)
