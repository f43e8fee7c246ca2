"""What answers take in data centres: the formula by its authors' figures, and the table."""

import pytest

from edgeroute.catalog.cloud_energy import CloudEnergy
from edgeroute.routing.cloud_energy import FRUGAL, LIKELY, NETWORK_J, WASTEFUL, by_size, per_token_j


@pytest.mark.parametrize(
    ("active", "total", "watt_hours"), [(8, 8, 0.027), (40, 200, 0.31), (100, 400, 0.96)]
)
def test_the_formula_gives_its_authors_figures(
    active: float, total: float, watt_hours: float
) -> None:
    assert 300 * per_token_j(active, total) / 3600 == pytest.approx(watt_hours, rel=0.02)


@pytest.mark.parametrize("size", [8, 70, 405])
def test_frugal_takes_less_than_likely_and_wasteful_more(size: float) -> None:
    figures = [per_token_j(size, size, serving) for serving in (FRUGAL, LIKELY, WASTEFUL)]
    assert figures == sorted(figures)


def test_a_published_median_is_taken_as_it_is_with_the_way_there() -> None:
    told = CloudEnergy(by_size, NETWORK_J).of("google/gemini-2.5-flash")
    assert told is not None
    energy = told.energy(500)
    assert (energy.low, energy.joules, energy.high) == (360 + 1, 864 + 2, 2592 + 5)
    assert "Google" in told.source


def test_every_name_has_figures_and_says_how_sure_they_are() -> None:
    table = CloudEnergy(by_size, NETWORK_J)
    for name in ("cloud/who-knows", "a/Llama-3.1-70B-Instruct", "x"):
        told = table.of(name)
        assert told is not None
        energy = told.energy(300)
        assert 0 < energy.low < energy.joules < energy.high
        assert energy.quality == "model"
