"""Keys out of the system's keyring: an extra, off unless it is installed and named."""

import sys
from collections.abc import Iterator
from pathlib import Path

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.backends.fail import Keyring as NoKeyring
from keyring.errors import KeyringLocked

from edgeroute.config import Folders, Settings
from edgeroute.domain.errors import InvalidConfig

CLOUD = """
[[destinations]]
name = "cloud"
url = "https://api.example.org/v1"
usd_in = 0
usd_out = 0
key_ring = "cloud"
"""


class InMemory(KeyringBackend):
    """A keyring of one test."""

    priority = 1.0

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # the library's
        self.held: dict[tuple[str, str], str] = {}
        self.locked = False

    def get_password(self, service: str, username: str) -> str | None:
        if self.locked:
            raise KeyringLocked("the user said no\nand more")
        return self.held.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.held[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.held[service, username]


@pytest.fixture
def ring() -> Iterator[InMemory]:
    before, ring = keyring.get_keyring(), InMemory()
    keyring.set_keyring(ring)
    yield ring
    keyring.set_keyring(before)


def load(root: Path, text: str = CLOUD) -> Settings:
    (root / "config.toml").write_text(text)
    nowhere = Path("/nonexistent")
    return Settings.load(Folders(root, nowhere, nowhere, nowhere), keys=True)


def test_a_key_comes_out_of_the_keyring_and_is_shown_nowhere(
    tmp_path: Path, ring: InMemory
) -> None:
    keyring.set_password("edgeroute", "cloud", "sk-of-the-ring")
    tool = '[[tools]]\nname = "t"\nurl = "https://t.example"\ntasks = ["math"]\nkey_ring = "cloud"'
    settings = load(tmp_path, f"{CLOUD}{tool}")
    keys = [settings.destinations[0].key, settings.tools[0].key]
    assert [key and key.reveal() for key in keys] == ["sk-of-the-ring"] * 2
    assert "sk-of" not in repr(settings)


def test_what_the_keyring_does_not_hold_is_asked_for(tmp_path: Path, ring: InMemory) -> None:
    with pytest.raises(InvalidConfig, match=r"line 7: .*the keyring has no 'cloud'") as caught:
        load(tmp_path)
    assert caught.value.hint == "keyring set edgeroute cloud"
    keyring.set_password("edgeroute", "cloud", "two words\nand lines")
    with pytest.raises(InvalidConfig, match="it holds no key"):
        load(tmp_path)


def test_a_keyring_that_is_locked_or_not_there_is_told(tmp_path: Path, ring: InMemory) -> None:
    ring.locked = True
    with pytest.raises(InvalidConfig, match=r"cannot be read: the user said no$"):
        load(tmp_path)
    keyring.set_keyring(NoKeyring())  # type: ignore[no-untyped-call] # the library's
    with pytest.raises(InvalidConfig, match="cannot be read: No recommended backend"):
        load(tmp_path)


def test_without_the_extra_the_table_that_names_it_is_refused_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    assert load(tmp_path, CLOUD.replace('key_ring = "cloud"', "")).destinations[0].key is None
    with pytest.raises(InvalidConfig, match="the keyring library is not installed") as caught:
        load(tmp_path)
    assert caught.value.hint == "pip install keyring, or use key_file"


def test_two_places_for_one_key_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match=r"line 8: .*key_env is set too"):
        load(tmp_path, CLOUD.replace("key_ring", 'key_env = "X"\nkey_ring'))
