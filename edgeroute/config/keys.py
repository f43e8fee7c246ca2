"""The secrets of destinations and tools: from a file, the environment, or the system's keyring.

Owns how each is read and what is wrong with one. The keyring is an extra: nothing of it is imported
where no table names one.
"""

import os
import stat
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from edgeroute.domain.destination import Key
from edgeroute.domain.errors import InvalidConfig

SERVICE = "edgeroute"
"""What the keyring calls us."""
_MOST_KEY = 8192

Fault = Callable[[str, str, str], InvalidConfig]
"""A key of a table, what is wrong with it, and what would change that."""


class Keyed(Struct, frozen=True, kw_only=True):
    """A table that may need a secret.

    Attributes:
        key_file: Path, beside `config.toml` where it is not absolute; nobody else may read it.
        key_env: Name of a variable.
        key_ring: Name under which the system's keyring holds it for the service `edgeroute`.
    """

    key_file: str | None = None
    key_env: str | None = None
    key_ring: str | None = None


def key_of(folder: Path, table: Keyed, fault: Fault, *, holds: bool) -> Key | None:
    """The secret of a table, `None` where it needs none or is not to be held.

    Args:
        folder: Of the configuration.
        table: Says where it is.
        fault: Tells what is wrong with its line.
        holds: Whether it is read. Only the daemon does: whoever else reads the configuration looks
            at whether a file is there and closed to others, and has neither the daemon's
            environment nor business with the keyring.

    Raises:
        InvalidConfig: It is not there, or cannot be one.
    """
    told = {
        name: value
        for name in ("key_file", "key_env", "key_ring")
        if (value := getattr(table, name)) is not None
    }
    if len(told) > 1:
        first, second = list(told)[:2]
        raise fault(second, f"{first} is set too", "set one of them")
    path = None if table.key_file is None else folder / Path(table.key_file).expanduser()
    if path is not None:
        _check_file(path, fault)
    if not holds:
        return None
    if path is not None:
        return _as_key(_of_file(path, fault), told, fault)
    if table.key_env is not None:
        return _as_key(_of_environment(table.key_env, fault), told, fault)
    if table.key_ring is not None:
        return _as_key(_of_keyring(table.key_ring, fault), told, fault)
    return None


def _check_file(path: Path, fault: Fault) -> None:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise fault("key_file", f"{path}: {error.strerror}", "write the key into it") from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise fault("key_file", f"{path} is open to other users", f"chmod 600 {path}")


def _of_file(path: Path, fault: Fault) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_MOST_KEY + 1).decode(errors="replace")
    except OSError as error:
        raise fault("key_file", f"{path}: {error.strerror}", "write the key into it") from error


def _of_environment(variable: str, fault: Fault) -> str:
    text = os.environ.get(variable)
    if text is None:
        raise fault("key_env", f"there is no variable {variable}", "export it, or use key_file")
    return text


def _of_keyring(name: str, fault: Fault) -> str:
    try:
        import keyring  # noqa: PLC0415 - an extra
        from keyring.errors import KeyringError  # noqa: PLC0415
    except ImportError as error:
        hint = "pip install keyring, or use key_file"
        raise fault("key_ring", "the keyring library is not installed", hint) from error
    try:
        text = keyring.get_password(SERVICE, name)
    except KeyringError as error:
        words = str(error).partition("\n")[0] or type(error).__name__
        hint = "unlock it, or use key_file"
        raise fault("key_ring", f"the keyring cannot be read: {words}", hint) from error
    if text is None:
        raise fault("key_ring", f"the keyring has no {name!r}", f"keyring set {SERVICE} {name}")
    return text


def _as_key(text: str, told: dict[str, str], fault: Fault) -> Key:
    key = text.strip()
    if not key or len(key) > _MOST_KEY or not key.isascii() or not key.isprintable():
        raise fault(next(iter(told)), "it holds no key", "put the key and nothing else there")
    return Key(key)
