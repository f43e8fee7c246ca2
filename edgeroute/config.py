"""The user's settings and the folders: read once, checked, and never changed while running.

Owns `config.toml`, the environment variables that name folders, and how private a folder must be.
Knows no profile and no model: whether a named profile exists is the daemon's to check.
"""

import os
import shlex
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import platformdirs
from msgspec import Meta, Struct

from edgeroute.domain.errors import InvalidConfig
from edgeroute.domain.units import Bytes, parse_bytes
from edgeroute.wire.toml import TomlFile

_SOCKET_PATH_LIMIT = 100
"""Bytes; the kernel's is 108 on Linux and 104 on macOS, with the final NUL."""
_PRIVATE = 0o700


@dataclass(frozen=True, slots=True)
class Folders:
    """Where this daemon keeps things, so that several may live on one machine.

    Attributes:
        config: `config.toml` and the user's profiles.
        data: Cards of linked models.
        state: What is remembered between runs.
        runtime: The sockets; private to the user.
    """

    config: Path
    data: Path
    state: Path
    runtime: Path

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Folders":
        """Name the folders: `EDGEROUTE_*_DIR`, else the XDG ones; creates none.

        Raises:
            InvalidConfig: A folder is not absolute, or its sockets' paths would be too long.
        """
        dirs = platformdirs.PlatformDirs("edgeroute", appauthor=False)

        def named(kind: str, default: Path) -> Path:
            variable = f"EDGEROUTE_{kind.upper()}_DIR"
            folder = Path(environment.get(variable) or default)
            if not folder.is_absolute():
                raise InvalidConfig(
                    f"the {kind} folder {str(folder)!r} is not an absolute path",
                    hint=f"set {variable} to an absolute path",
                )
            return folder

        state = named("state", dirs.user_state_path)
        session = environment.get("XDG_RUNTIME_DIR")
        runtime = named("runtime", Path(session) / "edgeroute" if session else state / "run")
        folders = cls(
            config=named("config", dirs.user_config_path),
            data=named("data", dirs.user_data_path),
            state=state,
            runtime=runtime,
        )
        folders._refuse_long_socket_path()
        return folders

    @property
    def http_socket(self) -> Path:
        """The socket of the HTTP interface."""
        return self.runtime / "http.sock"

    @property
    def lock(self) -> Path:
        """Locked by the one daemon of this runtime folder."""
        return self.runtime / "daemon.lock"

    @property
    def log(self) -> Path:
        """Where a daemon in the background writes what it has to say."""
        return self.state / "daemon.log"

    @property
    def journal(self) -> Path:
        """Decisions, outcomes and measurements."""
        return self.state / "journal.db"

    def create(self) -> None:
        """Create what is missing, private to the user, and check the runtime folder.

        Raises:
            InvalidConfig: A folder cannot be created, or others may enter the runtime folder.
        """
        for folder in (self.config, self.data, self.state, self.runtime):
            try:
                folder.mkdir(mode=_PRIVATE, parents=True, exist_ok=True)
            except OSError as error:
                raise InvalidConfig(f"{folder} cannot be created: {error.strerror}") from error
        self._refuse_open_runtime()

    def _refuse_long_socket_path(self) -> None:
        size = len(os.fsencode(self.http_socket))
        if size >= _SOCKET_PATH_LIMIT:
            raise InvalidConfig(
                f"the socket path {self.http_socket} has {size} bytes,"
                f" it must have under {_SOCKET_PATH_LIMIT}",
                hint="set EDGEROUTE_RUNTIME_DIR to a shorter folder",
            )

    def _refuse_open_runtime(self) -> None:
        # lstat: a link planted by someone else may point at a folder of ours
        status = self.runtime.lstat()
        if not stat.S_ISDIR(status.st_mode):
            raise InvalidConfig(
                f"{self.runtime} is not a folder",
                hint="remove it, or set EDGEROUTE_RUNTIME_DIR to another folder",
            )
        if status.st_uid != os.getuid():
            raise InvalidConfig(
                f"{self.runtime} belongs to user {status.st_uid}, not to {os.getuid()}",
                hint="set EDGEROUTE_RUNTIME_DIR to a folder of your own",
            )
        if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise InvalidConfig(
                f"{self.runtime} is open to other users ({stat.filemode(status.st_mode)})",
                hint=f"chmod 700 {shlex.quote(str(self.runtime))}",
            )


class _Memory(Struct, frozen=True):
    budget: str | None = None
    conversations: str | None = None


class _Config(Struct, frozen=True):
    profile: str = "balanced"
    context: Annotated[int, Meta(ge=256)] = 4096
    slots: Annotated[int, Meta(ge=1, le=64)] = 4
    memory: _Memory = _Memory()


@dataclass(frozen=True, slots=True)
class Settings:
    """What the user has chosen.

    Attributes:
        profile: Name of the operating profile.
        budget: Bytes of RAM for all models together; `None` leaves it to what is available.
        context: Tokens per conversation that models are loaded with.
        slots: Conversations that one model answers at once.
        conversations: Bytes for conversations of models that had to go; `None` leaves it to what
            is available.
    """

    profile: str = "balanced"
    budget: Bytes | None = None
    context: int = 4096
    slots: int = 4
    conversations: Bytes | None = None

    @classmethod
    def load(cls, folders: Folders) -> "Settings":
        """Read `config.toml` in the configuration folder; all defaults where there is none.

        Raises:
            InvalidConfig: Unreadable, an unknown key or a bad value; names file and line.
        """
        path = folders.config / "config.toml"
        try:
            path.lstat()
        except FileNotFoundError:
            return cls()
        except OSError as error:
            raise InvalidConfig(f"{path}: {error.strerror}") from error
        file = TomlFile(path)
        config = file.convert(_Config)
        return cls(
            config.profile,
            _size(file, "budget", config.memory.budget),
            config.context,
            config.slots,
            _size(file, "conversations", config.memory.conversations),
        )


def _size(file: TomlFile, name: str, text: str | None) -> Bytes | None:
    if text is None:
        return None
    try:
        return parse_bytes(text)
    except ValueError as error:
        raise file.fault(("memory", name), str(error)) from error
