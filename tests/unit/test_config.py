"""Settings and folders: defaults without a file, clear words for what is wrong, privacy kept."""

import os
import stat
from pathlib import Path

import pytest

from edgeroute.config import Folders, Settings
from edgeroute.domain.errors import InvalidConfig
from edgeroute.domain.features import Task
from edgeroute.domain.task_settings import TaskSettings
from edgeroute.domain.units import GIB, Bytes

NAMES = ("CONFIG", "DATA", "STATE", "RUNTIME")


def own(root: Path) -> Folders:
    return Folders.from_environment(
        {f"EDGEROUTE_{name}_DIR": str(root / name.lower()) for name in NAMES}
    )


# ---- folders ----------------------------------------------------------------------------------


def test_each_folder_can_be_named() -> None:
    folders = own(Path("/srv/er"))
    assert folders == Folders(*(Path("/srv/er") / name.lower() for name in NAMES))
    assert folders.http_socket == Path("/srv/er/runtime/http.sock")


def test_unnamed_folders_are_those_of_xdg(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in ("CONFIG", "DATA", "STATE"):
        monkeypatch.setenv(f"XDG_{kind}_HOME", f"/xdg/{kind.lower()}")
    folders = Folders.from_environment({"XDG_RUNTIME_DIR": "/run/user/1000"})
    assert folders == Folders(
        Path("/xdg/config/edgeroute"),
        Path("/xdg/data/edgeroute"),
        Path("/xdg/state/edgeroute"),
        Path("/run/user/1000/edgeroute"),
    )


def test_without_a_session_folder_the_sockets_live_under_the_state() -> None:
    folders = Folders.from_environment({"EDGEROUTE_STATE_DIR": "/s", "EDGEROUTE_RUNTIME_DIR": ""})
    assert folders.runtime == Path("/s/run")


def test_a_relative_folder_is_refused() -> None:
    with pytest.raises(InvalidConfig, match="data folder 'here' is not an absolute path") as caught:
        Folders.from_environment({"EDGEROUTE_DATA_DIR": "here"})
    assert caught.value.hint == "set EDGEROUTE_DATA_DIR to an absolute path"


def test_a_socket_path_is_bounded_in_bytes() -> None:
    fits = "/" + "a" * (99 - len("/" + "/http.sock"))
    assert Folders.from_environment({"EDGEROUTE_RUNTIME_DIR": fits}).runtime == Path(fits)
    for long in (fits + "a", "/" + "ü" * 45):
        with pytest.raises(InvalidConfig, match="must have under 100") as caught:
            Folders.from_environment({"EDGEROUTE_RUNTIME_DIR": long})
        assert caught.value.hint is not None
        assert "EDGEROUTE_RUNTIME_DIR" in caught.value.hint


def test_folders_are_made_private_and_making_them_again_is_harmless(tmp_path: Path) -> None:
    folders = own(tmp_path / "er")
    previous = os.umask(0o022)
    try:
        folders.create()
        folders.create()
    finally:
        os.umask(previous)
    for folder in (folders.config, folders.data, folders.state, folders.runtime):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("mode", [0o750, 0o701, 0o770, 0o755])
def test_a_runtime_folder_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    folders = own(tmp_path)
    folders.runtime.mkdir()
    folders.runtime.chmod(mode)
    with pytest.raises(InvalidConfig, match="open to other users") as caught:
        folders.create()
    assert caught.value.hint == f"chmod 700 {folders.runtime}"


def test_a_runtime_folder_of_someone_else_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = own(tmp_path)
    folders.create()
    monkeypatch.setattr(os, "getuid", lambda: folders.runtime.stat().st_uid + 1)
    with pytest.raises(InvalidConfig, match="belongs to user"):
        folders.create()


def test_a_link_in_place_of_the_runtime_folder_is_refused(tmp_path: Path) -> None:
    folders = own(tmp_path)
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    folders.runtime.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InvalidConfig, match="is not a folder"):
        folders.create()


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    with pytest.raises(InvalidConfig, match="data cannot be created: File exists"):
        own(tmp_path).create()


# ---- settings ---------------------------------------------------------------------------------


def settings(root: Path, text: str) -> Settings:
    folders = own(root)
    folders.config.mkdir(exist_ok=True)
    (folders.config / "config.toml").write_text(text)
    return Settings.load(folders)


def test_without_a_file_everything_is_default(tmp_path: Path) -> None:
    assert Settings.load(own(tmp_path)) == Settings("balanced", None, 4096, 4)
    assert settings(tmp_path, "") == Settings()


def test_every_setting_is_read(tmp_path: Path) -> None:
    memory = '[memory]\nbudget = "6GiB"\nconversations = "1GiB"\n'
    text = f'profile = "private"\ncontext = 8192\nslots = 2\n{memory}'
    wanted = Settings("private", Bytes(6 * GIB), 8192, 2, Bytes(GIB))
    assert settings(tmp_path, text) == wanted


WRONG = {
    "unknown key": ("profil = 'x'\n", "line 1: profil: unknown key"),
    "unknown table": ("slots = 2\n[memroy]\nbudget = 1\n", "line 2: memroy: unknown key"),
    "unknown in memory": ("[memory]\nbudgett = '1GiB'\n", "line 2: memory.budgett: unknown key"),
    "budget no size": (
        "[memory]\n# mine\nbudget = 'lots'\n",
        "line 3: memory.budget: 'lots' is not",
    ),
    "budget a number": ("[memory]\nbudget = 6\n", "line 2: memory.budget: Expected"),
    "conversations no size": (
        "[memory]\nconversations = 'many'\n",
        "line 2: memory.conversations: 'many' is not",
    ),
    "no slots": ("slots = 0\n", "line 1: slots: Expected `int` >= 1"),
    "tiny context": ("context = 16\n", "line 1: context: Expected `int` >= 256"),
    "not TOML": ("profile = balanced\n", "line 1: Invalid value"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, case: str) -> None:
    text, told = WRONG[case]
    with pytest.raises(InvalidConfig, match=f"config.toml, {told}"):
        settings(tmp_path, text)


def test_a_misspelt_key_is_answered_with_the_right_one(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig) as caught:
        settings(tmp_path, "profil = 'x'\n")
    known = (
        "known here: "
        "apps, context, destinations, lan, memory, profile, rules, slots, spend, tasks, tools"
    )
    assert caught.value.hint == f"did you mean 'profile'? {known}"


def test_a_dangling_link_is_no_absent_file(tmp_path: Path) -> None:
    folders = own(tmp_path)
    folders.config.mkdir()
    (folders.config / "config.toml").symlink_to(tmp_path / "gone")
    with pytest.raises(InvalidConfig, match="No such file"):
        Settings.load(folders)


def test_no_network_is_used_that_was_not_named(tmp_path: Path) -> None:
    assert settings(tmp_path, "[lan]\nnetworks = ['10.0.0.0/8']\n").lan is None
    lan = settings(tmp_path, "[lan]\nenabled = true\nnetworks = ['10.0.0.0/8', 'eth0']\n").lan
    assert lan is not None
    assert (lan.networks, lan.port, lan.share) == (("10.0.0.0/8", "eth0"), 47433, True)
    assert (lan.give, lan.give_mb_s, lan.verdicts) == (True, 60.0, True)


@pytest.mark.parametrize(
    ("keys", "line", "words"),
    [
        ("enabled = true", 2, "no network is named"),
        ("networks = ['10.0.0.0/33']", 2, "10.0.0.0/33"),
        ("networks = ['a b']", 2, "no network and no interface"),
        ("port = 0", 2, "port"),
    ],
)
def test_a_network_that_is_none_is_told_with_its_line(
    tmp_path: Path, keys: str, line: int, words: str
) -> None:
    with pytest.raises(InvalidConfig, match=rf"line {line}.*{words}"):
        settings(tmp_path, f"[lan]\n{keys}\n")


def test_settings_of_tasks_are_in_the_ranges_of_a_body(tmp_path: Path) -> None:
    text = "[tasks.coding]\ntemperature = 0.2\nmax_tokens = 500\nsystem = 'Code only.'\n"
    coding = TaskSettings({"temperature": 0.2}, 500, "Code only.")
    assert settings(tmp_path, text).tasks == {Task.CODING: coding}
    for line, complaint in (
        ("[tasks.cooking]", r"line 2: tasks\.cooking: Invalid enum value"),
        ("[tasks.math]\ntemperature = 3.0", r"line 3: tasks\.math\.temperature: Expected"),
        ("[tasks.math]\ntemp = 1.0", r"line 3: tasks\.math\.temp: unknown key"),
        ("[tasks.math]\nsystem = ''", r"line 3: tasks\.math\.system: Expected"),
    ):
        with pytest.raises(InvalidConfig, match=complaint):
            settings(tmp_path, f"\n{line}\n")
