"""Split models: one model whatever the number of its files, and no strangers among them."""

from dataclasses import replace
from pathlib import Path

import pytest

from edgeroute.domain.errors import InvalidModelFile
from edgeroute.wire.gguf import read_header
from edgeroute.wire.parts import MAX_PARTS, parts_of, read_model, stem_of
from edgeroute.wire.shape import shape_of
from tests.unit.wire.gguf_files import split, write_gguf


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    return write_gguf(tmp_path / "tiny.gguf")


@pytest.mark.parametrize("count", [2, 3, 6])
def test_a_split_model_has_the_shape_of_the_whole(whole: Path, tmp_path: Path, count: int) -> None:
    files = split(whole, tmp_path, count)
    joined = read_model(files[0])
    assert joined.file_bytes == sum(file.stat().st_size for file in files)
    same = replace(shape_of(joined), file_bytes=shape_of(read_header(whole)).file_bytes)
    assert same == shape_of(read_header(whole))


def test_any_part_names_all(whole: Path, tmp_path: Path) -> None:
    files = tuple(split(whole, tmp_path, 3))
    assert [parts_of(file) for file in files] == [files] * 3
    assert {stem_of(file) for file in files} == {"tiny"}
    assert read_model(files[2]) == read_model(files[0])


def test_a_whole_model_is_its_only_part(whole: Path) -> None:
    assert parts_of(whole) == (whole,)
    assert stem_of(whole) == "tiny"
    assert read_model(whole) == read_header(whole)


def test_a_missing_part_is_named(whole: Path, tmp_path: Path) -> None:
    files = split(whole, tmp_path, 3)
    files[1].unlink()
    with pytest.raises(InvalidModelFile, match=r"tiny-00002-of-00003\.gguf: No such file"):
        read_model(files[0])


def test_parts_that_changed_places_are_refused(whole: Path, tmp_path: Path) -> None:
    first, second = split(whole, tmp_path, 2)
    first.rename(aside := tmp_path / "aside")
    second.rename(first)
    aside.rename(second)
    with pytest.raises(InvalidModelFile, match="says to be part 1 of 2") as refused:
        read_model(first)
    assert refused.value.hint is not None


def test_a_part_under_a_name_without_its_number_is_refused(whole: Path, tmp_path: Path) -> None:
    renamed = split(whole, tmp_path, 2)[0].rename(tmp_path / "first.gguf")
    with pytest.raises(InvalidModelFile, match="says to be part 0 of 2"):
        read_model(renamed)


def test_parts_of_two_models_are_refused(whole: Path, tmp_path: Path) -> None:
    files = split(whole, tmp_path, 3)
    files[2].write_bytes(files[1].read_bytes())
    with pytest.raises(InvalidModelFile, match="says to be part 1 of 3"):
        read_model(files[0])


@pytest.mark.parametrize("count", [0, MAX_PARTS + 1, 99999])
def test_the_number_of_parts_is_bounded(count: int) -> None:
    with pytest.raises(InvalidModelFile, match=f"{count} parts"):
        parts_of(Path(f"m-00001-of-{count:05}.gguf"))
