"""A model's file in another format, kept: its card, its scores, and what an interruption leaves."""

from pathlib import Path

import pytest

from edgeroute.catalog import Catalog, files, link_model, tuning
from edgeroute.catalog.known import KnownModel, KnownModels
from edgeroute.catalog.tuning import keep_tuned, provenance, refuse_taken, unfinished_files
from edgeroute.domain.card import ModelCard, Tuned
from edgeroute.domain.errors import InvalidConfig, InvalidModelFile, InvalidRequest
from edgeroute.domain.features import Task
from edgeroute.domain.units import ModelId
from tests.catalog_places import CatalogPlaces
from tests.unit.wire.gguf_files import write_gguf

TUNED = Tuned("parent", "abc", "Q8_0", 0.12, 0.96, 1.31, 1.51, "2026-11-23 10:00 UTC, engine 1")
SCORES = {Task.MATH: 0.3}
ID = ModelId("parent-q8_0")


class Places(CatalogPlaces):
    def card(self, name: str) -> ModelCard:
        return next(card for card in Catalog.load(self).cards if card.id == name)

    def files(self) -> list[str]:
        return sorted(file.name for file in self.data.rglob("*") if file.is_file())


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(tmp_path)


@pytest.fixture
def parent(places: Places, monkeypatch: pytest.MonkeyPatch) -> ModelCard:
    known = KnownModel("fine", "MIT", SCORES, "its card, 2026")
    monkeypatch.setattr(KnownModels, "find", lambda *_: known)
    return link_model(places, write_gguf(places.root / "p.gguf"), "parent")


def keep(
    places: Places, parent: ModelCard, name: str = "Tiny", *, tuned: Tuned = TUNED
) -> ModelCard:
    with unfinished_files(places) as folder:
        file = write_gguf(folder / "q8_0.gguf", name)
        lossless = tuned.perplexity_change_pct < 0.5
        return keep_tuned(places, parent, file, tuned, inherit_scores=lossless)


def test_a_kept_file_is_a_model_that_names_its_parent(places: Places, parent: ModelCard) -> None:
    card = keep(places, parent)
    assert card == places.card(ID)
    assert card.id == ID
    assert (card.family, card.licence, card.scores) == ("fine", "MIT", SCORES)
    assert card.scores_source == "its card, 2026; of parent, +0.12 % perplexity"
    assert provenance(places, ID) == TUNED
    assert provenance(places, parent.id) is None
    assert places.card("parent") == parent
    assert places.files() == [Path(card.path).name, "parent-q8_0.toml", "parent.toml"]


def test_a_loss_that_matters_costs_all_scores(places: Places, parent: ModelCard) -> None:
    card = keep(places, parent, tuned=replace_loss(24.6))
    assert card.scores == places.card(ID).scores == {}
    assert "+24.60 % perplexity against parent" in card.scores_source
    assert parent.scores == places.card("parent").scores == SCORES


def replace_loss(percent: float) -> Tuned:
    return Tuned("parent", "abc", "Q8_0", percent, 0.7, 1.8, 2.2, "2026-11-23 10:00 UTC, engine 1")


def test_tuning_again_replaces_file_and_card(places: Places, parent: ModelCard) -> None:
    older = keep(places, parent)
    for name in ("Tiny", "Tiny again"):
        newer = keep(places, parent, name)
        assert (newer.sha256 == older.sha256) == (name == "Tiny")
        assert not Path(older.path).exists()
        assert places.card(ID) == newer
        assert len(places.files()) == 3
        older = newer


def test_an_id_that_is_somebody_elses_is_refused_beforehand(
    places: Places, parent: ModelCard
) -> None:
    refuse_taken(places, parent, "Q8_0")
    keep(places, parent)
    refuse_taken(places, parent, "Q8_0")  # its own
    other = write_gguf(places.root / "other.gguf")
    link_model(places, other, "parent-q4_0")
    with pytest.raises(InvalidRequest, match="'parent-q4_0' is taken by another model"):
        refuse_taken(places, parent, "Q4_0")


def test_what_a_killed_run_left_is_removed_by_the_next(places: Places) -> None:
    folder = places.data / "tuned" / "unfinished"
    folder.mkdir(parents=True)
    (folder / "q8_0.gguf").write_bytes(b"half")
    with unfinished_files(places) as again:
        assert again == folder
        assert list(folder.iterdir()) == []


def test_a_failure_leaves_no_unfinished_file(places: Places) -> None:
    def interrupted() -> None:
        with unfinished_files(places) as folder:
            (folder / "q8_0.gguf").write_bytes(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert places.files() == []


def test_only_one_may_tune_at_a_time(places: Places) -> None:
    with unfinished_files(places) as folder:
        (folder / "mine").touch()
        with pytest.raises(tuning.AlreadyTuning, match="another `edgeroute models tune`"):  # noqa: SIM117
            with unfinished_files(places):
                pass
        assert (folder / "mine").exists()
    with unfinished_files(places):
        pass


def test_a_card_that_cannot_be_written_takes_its_file_along(
    places: Places, parent: ModelCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise InvalidConfig("the card cannot be written: No space left on device")

    monkeypatch.setattr(tuning, "replace_card", full)
    with pytest.raises(InvalidConfig, match="No space left"):
        keep(places, parent)
    assert places.files() == ["parent.toml"]


def test_a_card_that_cannot_be_replaced_leaves_the_older_model_whole(
    places: Places, parent: ModelCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = keep(places, parent)

    def full(*_: object) -> None:
        raise InvalidConfig("the card cannot be written: No space left on device")

    for name in ("Tiny", "Tiny again"):  # the same file, and another
        with monkeypatch.context() as patched:
            patched.setattr(tuning, "replace_card", full)
            with pytest.raises(InvalidConfig, match="No space left"):
                keep(places, parent, name)
        assert places.card(ID) == older


def test_half_a_file_does_not_become_a_model(places: Places, parent: ModelCard) -> None:
    with unfinished_files(places) as folder:
        file = write_gguf(folder / "q8_0.gguf")
        file.write_bytes(file.read_bytes()[:-1])
        with pytest.raises(InvalidModelFile, match="1 bytes are missing"):
            keep_tuned(places, parent, file, TUNED, inherit_scores=True)
    assert places.files() == ["parent.toml"]


def test_hashing_alone_says_why_it_cannot(tmp_path: Path) -> None:
    with pytest.raises(InvalidModelFile, match="No such file"):
        files.hash_model(tmp_path / "none")
