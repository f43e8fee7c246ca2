"""The user's settings: read once, checked, and never changed while running.

Owns `config.toml`. Knows no profile and no model: whether a named profile exists is the daemon's
to check.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from msgspec import Meta, Struct

from edgeroute.config.apps import AppTable, check_names
from edgeroute.config.elsewhere import (
    DestinationTable,
    ToolTable,
    destinations_of,
    tools_of,
)
from edgeroute.config.folders import Folders
from edgeroute.config.lan import Lan, LanTable, lan_of
from edgeroute.config.policy import RuleTable, policy_of
from edgeroute.config.tasks import TaskTable, tasks_of
from edgeroute.domain.destination import Destination, ToolProgram
from edgeroute.domain.device import UNKNOWN, Device
from edgeroute.domain.errors import InvalidConfig
from edgeroute.domain.features import Task
from edgeroute.domain.policy import Policy
from edgeroute.domain.spending import SpendLimits
from edgeroute.domain.task_settings import TaskSettings
from edgeroute.domain.units import Bytes, Usd, parse_bytes
from edgeroute.wire.toml import TomlFile


class _Memory(Struct, frozen=True):
    budget: str | None = None
    conversations: str | None = None


Daily = Annotated[float, Meta(ge=0)]


class _Spend(Struct, frozen=True):
    """Dollars per day."""

    usd_per_day: Daily | None = None
    apps: dict[str, Daily] = {}

    def limits(self) -> SpendLimits:
        per_day = None if self.usd_per_day is None else Usd(self.usd_per_day)
        return SpendLimits(per_day, {app: Usd(limit) for app, limit in self.apps.items()})


class _Config(Struct, frozen=True):
    profile: str | None = None
    context: Annotated[int, Meta(ge=256)] | None = None
    slots: Annotated[int, Meta(ge=1, le=64)] | None = None
    memory: _Memory = _Memory()
    spend: _Spend = _Spend()
    apps: dict[str, AppTable] = {}
    tasks: dict[Task, TaskTable] = {}
    destinations: tuple[DestinationTable, ...] = ()
    tools: tuple[ToolTable, ...] = ()
    rules: tuple[RuleTable, ...] = ()
    lan: LanTable = LanTable()


@dataclass(frozen=True, slots=True)
class Settings:
    """What the user has chosen.

    Attributes:
        profile: Name of the operating profile.
        budget: Bytes of RAM for all models together; `None` leaves it to what is available.
        context: Tokens per conversation that models are loaded with.
        slots: Conversations that one model answers at once.
        conversations: Bytes for conversations of models that had to go; `None` leaves it to what
            is available.
        apps: What is said of each app, by its name.
        tasks: What holds for questions of a task where they leave it open.
        destinations: Other servers that may answer.
        tools: Programs and URLs that may.
        policy: Which requests may go to whom.
        lan: How the local network is used; `None` where it is not.
        spend: Dollars per day for them.
    """

    profile: str = "balanced"
    budget: Bytes | None = None
    context: int = 4096
    slots: int = 4
    conversations: Bytes | None = None
    apps: Mapping[str, AppTable] = field(default_factory=dict)
    tasks: Mapping[Task, TaskSettings] = field(default_factory=dict)
    destinations: tuple[Destination, ...] = ()
    tools: tuple[ToolProgram, ...] = ()
    policy: Policy = field(default_factory=Policy)
    lan: Lan | None = None
    spend: SpendLimits = field(default_factory=SpendLimits)

    @classmethod
    def load(cls, folders: Folders, device: Device = UNKNOWN, *, keys: bool = False) -> "Settings":
        """Read `config.toml` in the configuration folder; all defaults where there is none.

        Args:
            folders: Where it is.
            device: Says the defaults.
            keys: Whether the secrets of destinations and tools are read too: the daemon's alone.

        Raises:
            InvalidConfig: Unreadable, an unknown key or a bad value; names file and line.
        """
        path = folders.config / "config.toml"
        try:
            path.lstat()
        except FileNotFoundError:
            return cls(device.profile, context=device.context, slots=device.slots)
        except OSError as error:
            raise InvalidConfig(f"{path}: {error.strerror}") from error
        file = TomlFile(path)
        config = file.convert(_Config)
        check_names(file, ("apps",), config.apps)
        destinations = destinations_of(file, config.destinations, keys=keys)
        tools = tools_of(file, config.tools, keys=keys)
        check_names(file, ("spend", "apps"), config.spend.apps)
        return cls(
            config.profile or device.profile,
            _size(file, "budget", config.memory.budget),
            config.context or device.context,
            config.slots or device.slots,
            _size(file, "conversations", config.memory.conversations),
            config.apps,
            tasks_of(config.tasks),
            destinations,
            tools,
            policy_of(file, destinations, tools, config.rules),
            lan_of(file, config.lan),
            config.spend.limits(),
        )


def _size(file: TomlFile, name: str, text: str | None) -> Bytes | None:
    if text is None:
        return None
    try:
        return parse_bytes(text)
    except ValueError as error:
        raise file.fault(("memory", name), str(error)) from error
