"""The pool's numbers, each with its reason."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """When the pool waits, refuses and tries again; seconds and counts.

    Attributes:
        queue_limit: Waiters per model, in front of it or in its worker. At a few tokens per second
            and slot, those beyond would wait for minutes: they are better told so at once.
        min_residency_s: A model that has just become warm is not evicted, so that two that do not
            fit together are not swapped for every request. Short beside a load.
        max_wait_s: How long a model waits for leases of others to end while those behind it in
            the queue pass it. From then on it comes first and claims the memory of models in use:
            the starvation bound is this and the longest running request.
        storm_patience: In a swap storm a model waits for at least as many times the seconds of its
            own load: each swap then serves all who have gathered, instead of undoing the last.
        quiet_s: A model that was used so lately goes for no guess: its user may still be at it.
        reclaim_deadline_s: Freed GPU memory reappears late, but within a second or two. What is
            not back by then is booked as lost.
        restart_backoff_s: Before a worker that died is started again; doubles each time.
        load_backoff_s: Before a model that did not load is tried again; doubles each time. Longer,
            since a file does not mend itself and every try costs a load.
        backoff_limit_s: Neither grows beyond this: what was repaired is found within it.
        healthy_s: A worker that has been warm this long has made up for all earlier failures.
        crash_limit: Deaths in a row from which on askers are refused during the back-off, instead
            of waiting for a worker that dies under them.
    """

    queue_limit: int = 64
    min_residency_s: float = 0.5
    max_wait_s: float = 10.0
    storm_patience: float = 25.0
    quiet_s: float = 120.0
    reclaim_deadline_s: float = 10.0
    restart_backoff_s: float = 0.5
    load_backoff_s: float = 5.0
    backoff_limit_s: float = 30.0
    healthy_s: float = 60.0
    crash_limit: int = 3
