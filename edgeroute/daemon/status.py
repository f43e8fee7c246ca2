"""How everything stands, as plain data for `GET /edgeroute/status`."""

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

from edgeroute import __version__
from edgeroute.backends.states import KEEPS_CONVERSATIONS
from edgeroute.config import Endpoint, Folders
from edgeroute.daemon.models import Models
from edgeroute.domain.hardware import Hardware
from edgeroute.residency.cores import Cores
from edgeroute.residency.pool import ModelStatus
from edgeroute.runtime.pool import Pool
from edgeroute.runtime.profiles import Profiles
from edgeroute.runtime.providers import Providers
from edgeroute.runtime.purse import Purse
from edgeroute.runtime.roster import LiveRoster
from edgeroute.runtime.sessions import Sessions
from edgeroute.runtime.telemetry import TelemetryFeed


@dataclass(frozen=True, slots=True)
class StatusBoard:
    """Looks at every part when it is asked.

    Attributes:
        began: When the daemon did, monotonic seconds.
        tcp: Where requests over TCP are taken; `None` where they are not.
        sessions_limit: Bytes that saved conversations may hold now.
    """

    began: float
    folders: Folders
    tcp: Endpoint | None
    profiles: Profiles
    engine: str
    hardware: Hardware
    telemetry: TelemetryFeed
    pool: Pool
    roster: LiveRoster
    providers: Providers
    purse: Purse
    sessions: Sessions
    sessions_limit: Callable[[], int]
    cores: Cores
    models: Models

    def read(self) -> dict[str, Any]:
        """All of it."""
        pool, telemetry = self.pool, self.telemetry.now
        models, catalog = pool.snapshot(), self.models.catalog
        kept = {card.id: self.sessions.held_of(card.sha256) for card in catalog.cards}.get
        calibrated = {card.id: self.models.calibrations(card.sha256) for card in catalog.cards}.get
        return {
            "version": __version__,
            "pid": os.getpid(),
            "up_s": time.monotonic() - self.began,
            "socket": str(self.folders.http_socket),
            "rpc_socket": str(self.folders.rpc_socket),
            "tcp": None if self.tcp is None else str(self.tcp),
            "profile": self.profiles.in_force,
            "profile_configured": self.profiles.configured,
            "profile_switched": self.profiles.switched,
            "standing": self.profiles.standing,
            "joules_left": self.profiles.left(),
            "engine": self.engine,
            "memory": asdict(telemetry.memory),
            "power": asdict(telemetry.power),
            "budget": {
                **asdict(pool.budget),
                "booked": sum(model.booked.ram for model in models),
                "lost": pool.lost.ram,
                "withheld": pool.withheld,
            },
            "guesses": self._guesses(models),
            "conversations": {
                "kept": len(self.sessions),
                "bytes": self.sessions.held,
                "limit": self.sessions_limit() if KEEPS_CONVERSATIONS else 0,
                "supported": KEEPS_CONVERSATIONS,
            },
            "cores": {
                "threads": self.hardware.cpu.threads,
                "taken_by_others": round(self.cores.taken, 2),
                "contended": self.cores.contended,
            },
            "models": [
                {
                    **self._model(model),
                    "conversations": kept(model.model, 0),
                    "calibrated": calibrated(model.model, ()),
                }
                for model in models
            ],
            "providers": self.providers.status(),
            "spend": self.purse.status(),
            "unavailable": [{"id": name, "reason": why} for name, why in catalog.unavailable],
        }

    def _guesses(self, models: Iterable[ModelStatus]) -> dict[str, Any]:
        """What came of loads that nobody waited for; joules as if loading took all watts."""
        guesses = self.pool.guesses
        watts = max((self.roster.rates(model.model).watts for model in models), default=0.0)
        return {**asdict(guesses), "wasted_joules": guesses.wasted_s * watts}

    def _model(self, status: ModelStatus) -> dict[str, Any]:
        facts, pools = asdict(status), self.pool.pools(status.model)
        return {
            **facts,
            "id": facts.pop("model"),
            "warmth": status.warmth.name.lower(),
            "reload_s": status.reload_s,
            "progress": self.pool.progress.get(status.model),
            "rates": asdict(self.roster.rates(status.model)),
            "pools": None if pools is None else asdict(pools),
        }
