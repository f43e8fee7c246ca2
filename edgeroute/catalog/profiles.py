"""Operating profiles: one TOML file each, named by its file."""

import math
import re
from collections.abc import Mapping
from pathlib import Path

from edgeroute.catalog.folders import cards_in
from edgeroute.domain.profile import MOST_EXPLORED, Profile
from edgeroute.wire.toml import TomlFile

_WEIGHTS = ("value", "per_usd", "per_joule", "per_second")
_TIMES = ("max_load_s", "idle_release_s", "idle_release_battery_s", "hold_s")

_FULL = 100.0
_TIME_OF_DAY = re.compile(r"(?!00:00)([01]\d|2[0-3]):[0-5]\d|24:00")


def read_profiles(*folders: Path) -> Mapping[str, Profile]:
    """Read every profile; one in a later folder replaces its namesake in an earlier.

    Raises:
        InvalidConfig: A file is malformed, or a weight would reward cost.
    """
    return {file.stem: _profile(file) for folder in folders for file in cards_in(folder)}


def _profile(path: Path) -> Profile:
    file = TomlFile(path)
    profile = file.convert(Profile, given={"name": path.stem})
    if profile.name != path.stem:
        raise file.fault(("name",), f"must be {path.stem!r}, as the file", "rename one of them")
    for name in _WEIGHTS:
        weight: float = getattr(profile, name)
        if not 0 <= weight < math.inf:
            raise file.fault((name,), f"{weight} is not a weight of 0 or more")
    for name in _TIMES:
        limit: float | None = getattr(profile, name)
        if limit is not None and not limit >= 0:
            raise file.fault((name,), f"{limit} is not a time of 0 s or more")
    _check_limits(file, profile)
    return profile


def _check_limits(file: TomlFile, profile: Profile) -> None:
    budget = profile.joules_per_hour
    if budget is not None and not 0 < budget < math.inf:
        raise file.fault(("joules_per_hour",), f"{budget} is not an amount above 0")
    _check_battery(file, profile)
    if profile.hold_s == math.inf:
        raise file.fault(
            ("hold_s",), "a stream that is held for good is none", "ask for 10 or less"
        )
    if not 0 <= profile.explore <= MOST_EXPLORED:
        raise file.fault(
            ("explore",), f"{profile.explore} is not a share between 0 and {MOST_EXPLORED}"
        )
    borne = profile.wrong_at_most
    if borne is not None and not 0 < borne < 1:
        raise file.fault(("wrong_at_most",), f"{borne} is not a share between 0 and 1")
    for number, when in enumerate(profile.applies):
        if not when.conditions:
            raise file.fault(("applies", number), "names no condition", "it would always hold")
        if when.below is not None and not 0 < when.below <= _FULL:
            raise file.fault(("applies", number, "below"), f"{when.below} is not a percentage")


def _check_battery(file: TomlFile, profile: Profile) -> None:
    share, until = profile.battery_share, profile.battery_until
    if share is not None and not 0 < share <= 1:
        raise file.fault(("battery_share",), f"{share} is not a share above 0 and at most 1")
    if not _TIME_OF_DAY.fullmatch(until):
        hint = "write 18:30, say; 24:00 is midnight"
        raise file.fault(("battery_until",), f"{until!r} is not a time of day", hint)
    if share is None and "battery_until" in file.table:
        hint = "say with battery_share how much of it models may take"
        raise file.fault(("battery_until",), "says nothing without battery_share", hint)
