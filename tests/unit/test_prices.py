"""Published prices: dated, sourced, and never guessed."""

import re

import pytest

from edgeroute.backends.offered import Offered
from edgeroute.catalog.folders import shipped
from edgeroute.catalog.prices import published_prices
from edgeroute.domain.destination import Destination, ModelPrior, Price
from edgeroute.domain.errors import InvalidConfig

OPENAI = Destination(
    "openai", "https://api.openai.com/v1", models=("gpt-4o-mini", "gpt-5"), price=None
)


def test_every_named_model_has_its_own_price(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    prices = published_prices(OPENAI)
    assert "as others tell it, unchecked of 2026-03-21" in caplog.text
    assert prices == {"gpt-4o-mini": Price(0.15, 0.6), "gpt-5": Price(1.25, 10.0)}
    offered = Offered(OPENAI, lambda _: ModelPrior(10**9), prices)
    paid = {t.id: (t.usd_in_per_mtok, t.usd_out_per_mtok) for t in offered.targets}
    assert paid == {"openai/gpt-4o-mini": (0.15, 0.6), "openai/gpt-5": (1.25, 10.0)}


def test_lists_of_one_host_are_one_list_and_no_price_stands_twice() -> None:
    both = Destination(
        "o", "https://api.openai.com/v1", models=("gpt-5-mini", "gpt-5.4"), price=None
    )
    assert published_prices(both) == {"gpt-5-mini": (0.25, 2.0), "gpt-5.4": (5.0, 22.5)}
    text = (shipped("models") / "prices" / "published.toml").read_text()
    priced = re.findall(r'^"(.+)" = \[', text, re.MULTILINE)
    assert len(set(priced)) == len(priced) > 10


@pytest.mark.parametrize(
    ("url", "model"),
    [
        ("https://api.openai.com/v1", "gpt-999"),
        ("https://proxy.example.org/v1", "gpt-4o-mini"),  # who resells it, charges what it likes
    ],
)
def test_a_price_that_is_not_known_is_asked_for(url: str, model: str) -> None:
    with pytest.raises(InvalidConfig, match=f"no price of '{model}' at .* is known") as caught:
        published_prices(Destination("x", url, models=(model,), price=None))
    assert caught.value.hint is not None
    assert "set usd_in and usd_out" in caught.value.hint
