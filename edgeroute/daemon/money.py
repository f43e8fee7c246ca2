"""The purse of this machine, and its days."""

from datetime import datetime, timedelta
from pathlib import Path

from edgeroute.domain.spending import SpendLimits, Today
from edgeroute.routing.ledger import Ledger
from edgeroute.runtime.purse import Purse
from edgeroute.store.spend import SpendStore


def build_purse(limits: SpendLimits, file: Path) -> Purse:
    """The purse, with what was spent before."""
    store = SpendStore(file, today().day)
    return Purse(Ledger(limits, store.spent), store, today)


def today() -> Today:
    """The day by the machine's own time, whose length changes where clocks do."""
    now = datetime.now().astimezone()
    midnight = (now.replace(tzinfo=None) + timedelta(days=1)).replace(
        hour=0, minute=0, second=0, microsecond=0
    )
    return Today(now.date().isoformat(), (midnight.astimezone() - now).total_seconds())
