"""Free slots of a model, lent to other machines so that no two count on the same one.

Pure: who asked lately and what is free are arguments. A slot that was lent is the borrower's to
count on until it is told otherwise, or hears nothing of the lender for too long. It is no lock: the
lender's own work comes first.
"""

from collections.abc import Collection, Mapping


def lend(free: int, guests: Collection[str], asking: Collection[str]) -> Mapping[str, int]:
    """How many slots each guest may count on; together they are what is free.

    Evenly among those who are asking, or among all where nobody is. What is left over goes to the
    first by name, so that what does not change is not told again.

    Args:
        free: Slots that nobody uses.
        guests: All that hear of it.
        asking: Those of them that ask, or did a moment ago.
    """
    borrowers = sorted(asking) or sorted(guests)
    if not borrowers:
        return {}
    each, rest = divmod(free, len(borrowers))
    shares = {guest: each + (at < rest) for at, guest in enumerate(borrowers)}
    return {guest: shares.get(guest, 0) for guest in guests}
