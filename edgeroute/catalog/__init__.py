"""Which models and operating profiles this machine has, from cards in TOML."""

from edgeroute.catalog.linking import link_model, unlink_model
from edgeroute.catalog.listing import Catalog

__all__ = ["Catalog", "link_model", "unlink_model"]
