"""TOML: what is wrong is said with its line, however the file is written."""

import tomllib
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta, Struct

from edgeroute.domain.errors import InvalidConfig
from edgeroute.wire.toml import TomlFile, write


class Level(IntEnum):
    LOW = 0
    HIGH = 1


@dataclass(frozen=True)
class Inner:
    size: Annotated[int, Meta(ge=1)] = 1
    level: Level = Level.LOW


class Item(Struct, frozen=True):
    names: tuple[str, ...]


class Outer(Struct, frozen=True):
    title: str = ""
    inner: Inner | None = None
    item: tuple[Item, ...] = ()


def convert(folder: Path, text: str) -> Outer:
    path = folder / "some.toml"
    path.write_text(text)
    return TomlFile(path).convert(Outer)


def test_a_file_becomes_typed_values(tmp_path: Path) -> None:
    text = 'title = "t"\n[inner]\nsize = 3\nlevel = "high"\n[[item]]\nnames = ["a", "b"]\n'
    assert convert(tmp_path, text) == Outer("t", Inner(3, Level.HIGH), (Item(("a", "b")),))


def test_given_values_stand_in_for_what_the_file_leaves_out(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("")
    file = TomlFile(tmp_path / "a.toml")
    assert file.convert(Outer, given={"title": "a"}).title == "a"


FAULTY = {
    "unknown at the top": ("# one\n\ntitel = 1\n", "line 3: titel: unknown key"),
    "unknown in a table": ("[inner]\nsize = 2\nsizes = 3\n", "line 3: inner.sizes: unknown key"),
    "unknown as a dotted key": ("title = ''\ninner.sizes = 3\n", "line 2: inner.sizes: unknown"),
    "unknown inline": ("title = ''\ninner = { sizes = 3 }\n", "line 2: inner.sizes: unknown"),
    "unknown in the second": (
        "[[item]]\nnames = []\n[[item]]\nnames = []\nname = 1\n",
        r"line 5: item\[1\]\.name: unknown key",
    ),
    "wrong type": ("\ntitle = 3\n", "line 2: title: Expected `str`, got `int`"),
    "out of range": ("[inner]\nsize = 0\n", "line 2: inner.size: Expected `int` >= 1"),
    "unknown word": (
        "[inner]\nlevel = 'mid'\n",
        "line 2: inner.level: 'mid' is not one of 'low', 'high'",
    ),
    "number for a word": ("[inner]\nlevel = 1\n", "line 2: inner.level: 1 is not one of"),
    "in a value of many lines": (
        "title = ''\n\n[[item]]\n# names\nnames = [\n  'a',\n  3,\n]\n",
        r"line 5: item\[0\]\.names\[1\]: Expected `str`, got `int`",
    ),
    "after a text of many lines": (
        'title = """\n[inner]\nsizes = 3\n"""\n[inner]\nsizes = 3\n',
        "line 6: inner.sizes: unknown key",
    ),
    "not TOML": ("title = ''\ninner =\n", "line 2: Invalid value"),
    "the end of a list missing": ("title = ''\n\nitem = [\n  1,\n", "line 3: "),
    "a key twice": ("title = ''\n\ntitle = ''\n", "line 3: Cannot overwrite a value"),
}


@pytest.mark.parametrize("case", FAULTY)
def test_a_fault_is_told_with_file_and_line(tmp_path: Path, case: str) -> None:
    text, told = FAULTY[case]
    with pytest.raises(InvalidConfig, match=f"some.toml, {told}"):
        convert(tmp_path, text)


def test_a_missing_value_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match=r"line 1: item\[0\]: .* missing .* `names`"):
        convert(tmp_path, "[[item]]\n")


def test_a_misspelt_key_is_answered_with_the_likely_and_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig) as caught:
        convert(tmp_path, "titel = ''\n")
    assert caught.value.hint == "did you mean 'title'? known here: inner, item, title"
    with pytest.raises(InvalidConfig) as caught:
        convert(tmp_path, "zzz = ''\n")
    assert caught.value.hint == "known here: inner, item, title"


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match=r"none\.toml: No such file"):
        TomlFile(tmp_path / "none.toml")
    with pytest.raises(InvalidConfig, match="Is a directory"):
        TomlFile(tmp_path)
    (tmp_path / "latin.toml").write_bytes("title = 'ü'".encode("latin-1"))
    with pytest.raises(InvalidConfig, match="not UTF-8"):
        TomlFile(tmp_path / "latin.toml")


keys = st.from_regex(r"[A-Za-z0-9_-]{1,8}", fullmatch=True)
plain = st.one_of(
    st.text(st.characters(codec="utf-8")),
    st.integers(-(1 << 63), (1 << 63) - 1),
    st.booleans(),
    st.floats(allow_nan=False, allow_infinity=False),
)
tables = st.dictionaries(keys, plain | st.dictionaries(keys, plain))


@given(table=tables)
def test_what_is_written_is_read_back(table: dict[str, object]) -> None:
    assert tomllib.loads(write(table)) == table


def test_none_is_left_out_and_lone_surrogates_are_refused() -> None:
    assert write({"a": None, "b": 1}) == "b = 1\n"
    with pytest.raises(UnicodeEncodeError):
        write({"path": "\udcff"})
