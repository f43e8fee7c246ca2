"""The house rules that no linter knows."""

import re
import tomllib
from pathlib import Path

import pytest

from edgeroute.residency.table import TRANSITIONS

ROOT = Path(__file__).parent.parent
PACKAGE = sorted((ROOT / "edgeroute").rglob("*.py"))
BANNED = re.compile(r"util|helper|common|manager|misc", re.IGNORECASE)


@pytest.mark.parametrize("path", PACKAGE, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_fits_on_a_few_screens_and_says_what_it_owns(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 400
    assert not BANNED.search(path.stem)
    assert text.startswith('"""'), "a module begins with what it owns"


def test_nothing_is_left_open() -> None:
    left = re.compile(r"TODO|FIXME|XXX|NotImplementedError|pragma: no cover|type: ignore(?!\[)")
    open_ends = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in PACKAGE
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if left.search(line)
    ]
    assert open_ends == []


def test_nobody_but_the_gate_approves_what_leaves() -> None:
    makers = [path.stem for path in PACKAGE if re.search(r"\bApprovedPayload\(", path.read_text())]
    assert makers == ["egress"]


def test_every_toml_file_of_the_house_parses() -> None:
    files = [*(ROOT / "models").glob("*.toml"), *(ROOT / "profiles").glob("*.toml")]
    assert len(files) >= 7
    for path in files:
        tomllib.loads(path.read_text())


def test_the_architecture_page_has_the_floors_that_are_enforced() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (floors,) = [c for c in contracts["contracts"] if c["type"] == "layers"]
    page = (ROOT / "ARCHITECTURE.md").read_text()
    drawn = page.split("## Floors")[1].split("```")[1]
    written = [re.split(r"\s{3,}", line)[0] for line in drawn.strip().splitlines()]
    assert written == floors["layers"]


def test_the_architecture_page_has_the_states_that_there_are() -> None:
    page = (ROOT / "ARCHITECTURE.md").read_text()
    drawn = page.split("## The residency state machine")[1].split("## ")[0]
    rows = re.findall(r"^\| (\w+) \| (\w+) \| (\w+) \|$", drawn, re.MULTILINE)[1:]
    table = [
        (start.name.lower(), cause.name.lower(), end.name.lower())
        for (start, cause), end in TRANSITIONS.items()
    ]
    assert rows == table


def test_no_file_names_a_package_registry_host() -> None:
    hosts = re.compile(r"pypi\.org|pythonhosted|huggingface\.co|registry\.npmjs|deb\.debian")
    text = [ROOT / name for name in ("README.md", "setup_hw.sh", "pyproject.toml", "Makefile")]
    for path in [*text, *PACKAGE, *(ROOT / "setup").glob("*.sh")]:
        assert not hosts.search(path.read_text()), path
