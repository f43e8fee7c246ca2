"""What was learned of when models are asked for, carried over a restart."""

from collections.abc import Container, Iterable

from edgeroute.domain.units import ModelId
from edgeroute.residency.demand import Demand, Use
from edgeroute.runtime.conditions import midnight_of


def recalled(
    uses: Iterable[tuple[str, str, float, float]],
    models: Container[str],
    now: float,
    wall_now: float,
) -> Demand:
    """Past demand, learned again from the journal: a tenth of a second for 4000 uses.

    Args:
        uses: Model, app, and from when to when, Unix seconds.
        models: Those that there still are.
        now: This moment on the pool's clock.
        wall_now: The same in Unix seconds.
    """
    demand = Demand()
    behind = wall_now - now
    demand.recall(
        (
            Use(ModelId(model), app, asked - behind, ended - behind)
            for model, app, asked, ended in uses
            if model in models
        ),
        midnight_of(now, wall_now),
    )
    return demand
