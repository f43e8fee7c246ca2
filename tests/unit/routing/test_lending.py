"""No slot is lent twice."""

from hypothesis import given
from hypothesis import strategies as st

from edgeroute.routing.lending import lend

GUESTS = st.sets(st.text("abc", min_size=1, max_size=3), max_size=8)


@given(st.integers(0, 64), GUESTS, st.data())
def test_all_that_is_free_is_lent_and_no_slot_twice(
    free: int, guests: set[str], data: st.DataObject
) -> None:
    asking = data.draw(st.sets(st.sampled_from(sorted(guests))) if guests else st.just(set()))
    lent = lend(free, guests, asking)
    assert lent.keys() == guests
    assert sum(lent.values()) == (free if guests else 0)
    borrowers = [lent[guest] for guest in (asking or guests)]
    assert not borrowers or max(borrowers) - min(borrowers) <= 1
    assert all(lent[guest] == 0 for guest in guests - asking) or not asking
    assert lent == lend(free, sorted(guests, reverse=True), asking)
