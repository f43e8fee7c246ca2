"""`[[destinations]]` and `[[tools]]`: what they become, and mistakes told with their line."""

from pathlib import Path

import pytest

from edgeroute.config import Folders, Settings
from edgeroute.domain.capability import Capability
from edgeroute.domain.destination import Destination, Price
from edgeroute.domain.errors import InvalidConfig
from edgeroute.domain.features import Task
from edgeroute.domain.privacy import Label, Zone


def settings(root: Path, text: str, *, keys: bool = True) -> Settings:
    (root / "config.toml").write_text(text)
    nowhere = Path("/nonexistent")
    return Settings.load(Folders(root, nowhere, nowhere, nowhere), keys=keys)


def key_file(root: Path, text: str = "sk-1\n", mode: int = 0o600) -> None:
    (root / "key").write_text(text)
    (root / "key").chmod(mode)


CLOUD = """
[[destinations]]
name = "cloud"
url = "https://api.example.org/v1"
usd_in = 0.5
usd_out = 1.5
"""


def test_a_cloud_sees_public_text_unless_its_owner_says_more(tmp_path: Path) -> None:
    (cloud,) = settings(tmp_path, CLOUD).destinations
    assert cloud == Destination("cloud", "https://api.example.org/v1", price=Price(0.5, 1.5))
    assert (cloud.zone, cloud.max_label) == (Zone.CLOUD, Label.PUBLIC)
    assert cloud.capabilities == {Capability.CHAT, Capability.TOOLS, Capability.JSON_SCHEMA}


def test_every_key_of_a_destination_lands_where_it_belongs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOX_KEY", " sk-2 ")
    text = """
    [[destinations]]
    name = "box"
    url = "http://192.0.2.7:8000/v1"
    kind = "openai"
    zone = "device"
    max_label = "secret"
    models = ["a", "b"]
    tasks = ["coding", "math"]
    capabilities = ["chat", "embed"]
    context = 4096
    key_env = "BOX_KEY"
    first_token_s = 120
    between_tokens_s = 5
    """
    (box,) = settings(tmp_path, text).destinations
    assert box.key is not None
    assert box.key.reveal() == "sk-2"
    assert (box.zone, box.max_label, box.dialect) == (Zone.DEVICE, Label.SECRET, "openai")
    assert box.models == ("a", "b")
    assert box.tasks == {Task.CODING, Task.MATH}
    assert box.capabilities == {Capability.CHAT, Capability.EMBED}
    assert (box.context, box.first_token_s, box.between_tokens_s) == (4096, 120, 5)


def test_a_key_comes_from_a_file_that_is_nobody_elses(tmp_path: Path) -> None:
    key_file(tmp_path)
    (cloud,) = settings(tmp_path, CLOUD + 'key_file = "key"').destinations
    assert cloud.key is not None
    assert cloud.key.reveal() == "sk-1"
    assert "sk-1" not in repr(cloud)


def test_tools_are_programs_here_or_urls_afar(tmp_path: Path) -> None:
    text = """
    [[tools]]
    name = "shout"
    command = ["tr", "a-z", "A-Z"]
    tasks = ["rewrite"]
    description = "louder"
    timeout_s = 3
    schema = { type = "object" }
    [[tools]]
    name = "weather"
    url = "https://weather.example.org/ask"
    tasks = ["tool_use"]
    """
    shout, weather = settings(tmp_path, text).tools
    assert (shout.zone, shout.max_label) == (Zone.DEVICE, Label.PRIVATE)
    assert (shout.command, shout.timeout_s) == (("tr", "a-z", "A-Z"), 3)
    assert shout.schema == '{"type":"object"}'
    assert (weather.zone, weather.max_label) == (Zone.CLOUD, Label.PUBLIC)


MISTAKES = {
    "twice": (CLOUD + CLOUD, r"line 9: destinations\[1\].name: 'cloud' is there twice"),
    "named tool": (CLOUD.replace('"cloud"', '"tool"'), "line 3: .*name: 'tool' is what tools"),
    "slash": (CLOUD.replace('"cloud"', '"a/b"'), "line 3: "),
    "no price": (CLOUD.replace("usd_out = 1.5", ""), "line 3: .*what it costs is not said"),
    "no price of no model": (
        CLOUD.replace("usd_out = 1.5", "").replace("usd_in = 0.5", ""),
        "line 3: .*what it costs is not said",
    ),
    "no url": (CLOUD.replace("https://api", "api"), "line 4: .*it is no URL"),
    "bad port": (CLOUD.replace(".org/", ".org:x/"), "line 4: .*it is no URL"),
    "a key in it": (CLOUD.replace("//api", "//u:p@api"), "line 4: .*more than a host"),
    "in the clear": (CLOUD.replace("https", "http"), "line 4: .*in the clear"),
    "secret": (CLOUD + 'max_label = "secret"', "line 7: .*never leaves this device"),
    "label": (CLOUD + 'max_label = "open"', "line 7: .*'open' is not one of"),
    "zone": (CLOUD + 'zone = "moon"', "line 7: .*'moon' is not one of"),
    "task": (CLOUD + 'tasks = ["cooking"]', "line 7: "),
    "capability": (CLOUD + 'capabilities = ["grammar"]', "line 7: "),
    "typo": (CLOUD + 'modells = ["a"]', "line 7: .*unknown key"),
    "two keys": (CLOUD + 'key_file = "a"\nkey_env = "B"', "line 8: .*key_file is set too"),
    "no file": (CLOUD + 'key_file = "gone"', "line 7: .*gone: No such file"),
    "no variable": (CLOUD + 'key_env = "NO_SUCH_4711"', "line 7: .*no variable NO_SUCH_4711"),
    "calculator": ('[[tools]]\nname = "calculator"\ntasks = ["math"]', "line 2: .*built in"),
    "neither": ('[[tools]]\nname = "x"\ntasks = ["math"]', "line 2: .*either a command or a url"),
    "no task": ('[[tools]]\nname = "x"\ntasks = []\ncommand = ["x"]', "line 3: "),
    "far command": (
        '[[tools]]\nname = "x"\ntasks = ["math"]\ncommand = ["x"]\nzone = "cloud"',
        "line 5: .*runs on this device",
    ),
}


@pytest.mark.parametrize(("text", "words"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(InvalidConfig, match=words):
        settings(tmp_path, text)


def test_who_holds_no_keys_looks_at_where_they_are_and_reads_none(tmp_path: Path) -> None:
    """A program of the user's has not the daemon's environment, nor its keyring unlocked."""
    elsewhere = ('key_env = "NO_SUCH_4711"', 'key_ring = "none"')
    for line in elsewhere:
        assert settings(tmp_path, CLOUD + line, keys=False).destinations[0].key is None
    key_file(tmp_path, "two\nlines")  # no key, which only who reads it can tell
    named = CLOUD + 'key_file = "key"'
    assert settings(tmp_path, named, keys=False).destinations[0].key is None
    key_file(tmp_path, mode=0o644)
    with pytest.raises(InvalidConfig, match="open to other users"):
        settings(tmp_path, named, keys=False)


def test_plain_http_is_for_this_machine_and_the_network_around_it(tmp_path: Path) -> None:
    for host in ("127.0.0.1:1", "localhost", "[::1]:8080"):
        text = CLOUD.replace("https://api.example.org", f"http://{host}")
        assert settings(tmp_path, text).destinations
    peer = CLOUD.replace("https", "http") + 'zone = "peer"'
    assert settings(tmp_path, peer).destinations


@pytest.mark.parametrize(
    ("text", "mode", "words"),
    [
        ("sk-1", 0o644, "open to other users"),
        ("sk-1", 0o660, "open to other users"),
        ("", 0o600, "holds no key"),
        ("two\nlines", 0o600, "holds no key"),
        ("sk-\u00e9", 0o600, "holds no key"),
        ("x" * 9000, 0o600, "holds no key"),
    ],
    ids=["world", "group", "empty", "lines", "letters", "long"],
)
def test_a_key_file_that_cannot_be_right_is_refused(
    tmp_path: Path, text: str, mode: int, words: str
) -> None:
    key_file(tmp_path, text, mode)
    with pytest.raises(InvalidConfig, match=words) as caught:
        settings(tmp_path, CLOUD + 'key_file = "key"')
    assert "sk-1" not in str(caught.value)
