"""One daemon per runtime folder: a locked file that holds its process id.

The kernel drops the lock with the process, however it ends, so a stale file is no obstacle.
"""

import fcntl
import os
import time
from pathlib import Path

from edgeroute.domain.errors import EdgeRouteError

_POLL_S = 0.05


class AlreadyRunning(EdgeRouteError):
    """Another daemon holds the runtime folder."""

    code = "already_running"
    http_status = 503


class DaemonLock:
    """The lock, held until the process ends.

    Args:
        path: The lock file.

    Raises:
        AlreadyRunning: Another process holds it.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._file)
            raise AlreadyRunning(
                f"a daemon is already running (process {holder(path)}) in {path.parent}",
                hint="use it, stop it with `edgeroute stop`, or set EDGEROUTE_RUNTIME_DIR",
            ) from None
        os.ftruncate(self._file, 0)
        os.write(self._file, str(os.getpid()).encode())


def holder(path: Path) -> int | None:
    """Process id of the daemon that holds the lock, `None` where none does."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return int(os.read(file, 20) or b"0") or None
    else:
        return None
    finally:
        os.close(file)


def wait_released(path: Path, timeout_s: float) -> bool:
    """Wait until no daemon holds the lock; `False` where one still does after the timeout."""
    end = time.monotonic() + timeout_s
    while holder(path) is not None:
        if time.monotonic() > end:
            return False
        time.sleep(_POLL_S)
    return True
