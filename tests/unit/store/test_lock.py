"""One daemon per folder: the kernel knows whether the holder still lives."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from edgeroute.store.lock import AlreadyRunning, DaemonLock, holder, wait_released

HOLD = """
import sys
from pathlib import Path
from edgeroute.store.lock import DaemonLock
lock = DaemonLock(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_the_lock_names_its_holder_and_is_free_once_that_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "daemon.lock"
    assert holder(path) is None
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        assert holder(path) == other.pid
        with pytest.raises(AlreadyRunning, match=str(other.pid)):
            DaemonLock(path)
        assert not wait_released(path, timeout_s=0.0)
        other.send_signal(signal.SIGKILL)
    assert wait_released(path, timeout_s=5.0)
    assert holder(path) is None
    mine = DaemonLock(path)
    assert holder(path) == os.getpid()
    del mine


def test_a_lock_file_left_behind_is_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "daemon.lock"
    path.write_text("12345")
    assert holder(path) is None
