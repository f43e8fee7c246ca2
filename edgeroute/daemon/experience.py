"""What this machine has learnt of models so far, from its journal, and who tells others of it."""

import secrets

from edgeroute.routing.quality import Quality
from edgeroute.runtime.experience import Experience
from edgeroute.store.journal import SqliteJournal

_RUN_BITS = 53


def recalled_experience(width: int, journal: SqliteJournal) -> tuple[Quality, Experience]:
    """What is believed, and the keeper of what it rests on; `width` is `Quality`'s.

    Raises:
        InvalidConfig: The journal cannot be read.
    """
    quality = Quality(width, journal.beliefs())
    run = 1 + secrets.randbelow((1 << _RUN_BITS) - 1)  # 0 is what nobody has heard yet
    return quality, Experience(quality, journal, journal.secret(), run)
