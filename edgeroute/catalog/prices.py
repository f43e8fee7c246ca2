"""What servers charge, as they published it.

Owns how `models/prices/published.toml` is read; prices without a day and a source are refused, and
who said so and when is told when one is used.
"""

import logging
from collections.abc import Mapping
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from msgspec import Meta, Struct

from edgeroute.catalog.folders import shipped
from edgeroute.domain.destination import Destination, Price
from edgeroute.domain.errors import InvalidConfig
from edgeroute.wire.toml import TomlFile

_log = logging.getLogger(__name__)

Amount = Annotated[float, Meta(ge=0)]
_SEEN: Final = {"theirs": "by its own page", "told": "as others tell it, unchecked"}


class _List(Struct, frozen=True):
    host: str
    seen: Literal["theirs", "told"]
    as_of: Annotated[str, Meta(pattern=r"^\d{4}-\d{2}-\d{2}$")]
    source: Annotated[str, Meta(min_length=10)]
    models: dict[str, tuple[Amount, Amount]]


class _File(Struct, frozen=True):
    list: tuple[_List, ...]


def published_prices(destination: Destination) -> Mapping[str, Price]:
    """The price of every model that a destination names, none of which it says itself.

    Raises:
        InvalidConfig: One is not known.
    """
    file = TomlFile(shipped("models") / "prices" / "published.toml").convert(_File)
    name = urlsplit(destination.url).hostname
    lists = [each for each in file.list if each.host == name]
    prices = {}
    for model in destination.models:
        known = next((each for each in lists if model in each.models), None)
        if known is None:
            raise InvalidConfig(
                f"[[destinations]] {destination.name}: no price of {model!r} at {name} is known",
                hint="set usd_in and usd_out, dollars per million tokens; 0 where it is free",
            )
        prices[model] = price = Price(*known.models[model])
        _log.info(
            "%s/%s: $%g and $%g per million tokens read and made, %s of %s",
            *(destination.name, model, *price, _SEEN[known.seen], known.as_of),
        )
    return prices
