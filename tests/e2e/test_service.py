"""The daemon under a service manager: sockets opened for it, and word when it is ready."""

import plistlib
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from edgeroute.cli.installing import service
from edgeroute.domain.errors import Unsupported
from tests.e2e.conftest import House

pytestmark = pytest.mark.e2e

# What systemd does: descriptors 3 and 4, and the process id that they are meant for.
HAND_OVER = 'exec 3<&"$0" 4<&"$1"; LISTEN_PID=$$ LISTEN_FDS=2 exec "$2" -m edgeroute.cli.main serve'


def test_a_daemon_takes_the_sockets_it_is_given_and_leaves_them(house: House) -> None:
    house.add_echo("quick")
    house.folders.create()
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.settimeout(30)
    manager.bind(str(house.root / "notify"))
    listening = []
    for path in (house.folders.rpc_socket, house.folders.http_socket):
        listening.append(socket.socket(socket.AF_UNIX))
        listening[-1].bind(str(path))
        listening[-1].listen()
    early = socket.socket(socket.AF_UNIX)
    early.connect(str(house.folders.http_socket))  # before there is a daemon
    early.sendall(b"GET /healthz HTTP/1.1\r\nhost: e\r\nconnection: close\r\n\r\n")
    given = [str(each.fileno()) for each in listening]
    daemon = subprocess.Popen(
        ["bash", "-c", HAND_OVER, *given, sys.executable],
        env={**house.env, "NOTIFY_SOCKET": str(house.root / "notify")},
        pass_fds=[each.fileno() for each in listening],
        stderr=subprocess.DEVNULL,
    )
    assert manager.recv(100) == b"READY=1"
    early.settimeout(30)
    assert early.recv(100).startswith(b"HTTP/1.1 200")
    assert house.json("ask", "--model", "quick", "one two")["text"] == "one two"
    daemon.send_signal(signal.SIGTERM)
    assert manager.recv(100) == b"STOPPING=1"
    assert daemon.wait(30) == 0
    assert house.folders.http_socket.exists()
    assert house.folders.rpc_socket.exists()
    for each in (manager, early, *listening):
        each.close()


def test_the_units_are_what_systemd_takes(house: House, tmp_path: Path) -> None:
    files, commands = service(house.folders, tmp_path, "linux")
    assert commands[-1] == ("systemctl", "--user", "enable", "--now", "edgeroute.socket")
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (unit,) = [text for path, text in files.items() if path.suffix == ".service"]
    assert f"ExecStart={sys.executable} -m edgeroute.cli.main serve\n" in unit
    if shutil.which("systemd-analyze") is None:
        pytest.skip("NOT CHECKED by systemd itself: no systemd-analyze here")
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--user", "--man=no", *map(str, files)],
        env={**house.env, "XDG_RUNTIME_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    ours = [line for line in checked.stderr.splitlines() if "edgeroute." in line]
    assert ours == []


def test_launchd_gets_a_property_list(house: House, tmp_path: Path) -> None:
    files, _ = service(house.folders, tmp_path, "darwin")
    ((path, text),) = files.items()
    told = plistlib.loads(text.encode())
    assert path == tmp_path / "Library/LaunchAgents/edgeroute.plist"
    assert told["ProgramArguments"] == [sys.executable, "-m", "edgeroute.cli.main", "serve"]
    with pytest.raises(Unsupported, match="no service manager of plan9"):
        service(house.folders, tmp_path, "plan9")


def test_a_shell_gets_its_completions(house: House) -> None:
    script = house.run("completions", "bash")
    assert script.returncode == 0
    assert "edgeroute" in script.stdout
    checked = subprocess.run(["bash", "-n"], input=script.stdout, text=True, check=False)
    assert checked.returncode == 0
