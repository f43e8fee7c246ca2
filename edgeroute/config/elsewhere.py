"""`[[destinations]]` and `[[tools]]`: who else may answer, and what each may see.

Owns their keys and their defaults. A mistake is told with its line when the daemon starts, never at
the first request.
"""

import ipaddress
from collections.abc import Sequence
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from edgeroute.config.keys import Fault, Keyed, key_of
from edgeroute.domain.capability import Capability
from edgeroute.domain.destination import Destination, Dialect, Price, ToolProgram
from edgeroute.domain.errors import InvalidConfig
from edgeroute.domain.features import Task
from edgeroute.domain.privacy import Label, Zone
from edgeroute.wire.toml import TomlFile

_TOOLS_OWN = "tool"
"""What the ids of tools begin with, so that no destination may."""

Name = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
Amount = Annotated[float, Meta(ge=0)]
Seconds = Annotated[float, Meta(gt=0, le=3600)]
Speaks = Literal["chat", "tools", "json_schema", "logprobs", "choices", "embed"]
"""What the OpenAI protocol has a way to ask for."""


class DestinationTable(Keyed, frozen=True):
    """One `[[destinations]]`; see `domain/destination` for what each key means."""

    name: Name
    url: str
    kind: Dialect = "compatible"
    zone: Zone = Zone.CLOUD
    max_label: Label = Label.PUBLIC
    models: tuple[Annotated[str, Meta(min_length=1, max_length=200)], ...] = ()
    tasks: tuple[Task, ...] = ()
    capabilities: tuple[Speaks, ...] = ("chat", "tools", "json_schema")
    context: Annotated[int, Meta(ge=256)] = 8192
    usd_in: Amount | None = None
    usd_out: Amount | None = None
    connect_s: Seconds = 5.0
    first_token_s: Seconds = 60.0
    between_tokens_s: Seconds = 30.0
    total_s: Seconds = 600.0


class ToolTable(Keyed, frozen=True):
    """One `[[tools]]`; a command is on this device, a URL in a cloud unless it says otherwise."""

    name: Name
    tasks: Annotated[tuple[Task, ...], Meta(min_length=1)]
    command: tuple[str, ...] = ()
    url: str = ""
    description: str = ""
    schema: dict[str, Any] | None = None
    timeout_s: Seconds = 10.0
    zone: Zone | None = None
    max_label: Label | None = None


def destinations_of(
    file: TomlFile, tables: Sequence[DestinationTable], *, keys: bool
) -> tuple[Destination, ...]:
    """The destinations, checked, with their keys or without (see `keys.key_of`).

    Raises:
        InvalidConfig: Names file, line and what to change.
    """
    _refuse_twice(file, "destinations", [table.name for table in tables])
    return tuple(_destination(file, at, table, keys=keys) for at, table in enumerate(tables))


def tools_of(file: TomlFile, tables: Sequence[ToolTable], *, keys: bool) -> tuple[ToolProgram, ...]:
    """The tools, checked, with their keys or without (see `keys.key_of`).

    Raises:
        InvalidConfig: Names file, line and what to change.
    """
    _refuse_twice(file, "tools", [table.name for table in tables])
    return tuple(_tool(file, at, table, keys=keys) for at, table in enumerate(tables))


def _destination(file: TomlFile, at: int, table: DestinationTable, *, keys: bool) -> Destination:
    def fault(key: str, what: str, hint: str) -> InvalidConfig:
        return file.fault(("destinations", at, key), what, hint)

    if table.name == _TOOLS_OWN:
        raise fault("name", f"{_TOOLS_OWN!r} is what tools are called", "choose another name")
    _check_url(table.url, table.zone, fault)
    _check_label(table.max_label, table.zone, fault)
    price: Price | None = Price(table.usd_in or 0.0, table.usd_out or 0.0)
    if table.zone is Zone.CLOUD and (table.usd_in is None or table.usd_out is None):
        if not table.models or not table.usd_in is table.usd_out is None:
            raise fault(
                "name",
                "what it costs is not said",
                "set usd_in and usd_out, dollars per million tokens, 0 where it is free; "
                "or name its models, whose published prices then hold",
            )
        price = None
    return Destination(
        name=table.name,
        url=table.url,
        zone=table.zone,
        max_label=table.max_label,
        dialect=table.kind,
        models=table.models,
        tasks=frozenset(table.tasks),
        capabilities=frozenset(map(Capability, table.capabilities)),
        context=table.context,
        price=price,
        key=key_of(file.path.parent, table, fault, holds=keys),
        connect_s=table.connect_s,
        first_token_s=table.first_token_s,
        between_tokens_s=table.between_tokens_s,
        total_s=table.total_s,
    )


def _tool(file: TomlFile, at: int, table: ToolTable, *, keys: bool) -> ToolProgram:
    def fault(key: str, what: str, hint: str) -> InvalidConfig:
        return file.fault(("tools", at, key), what, hint)

    if table.name == "calculator":
        raise fault("name", "the calculator is built in", "choose another name")
    if bool(table.command) == bool(table.url):
        raise fault("name", "a tool has either a command or a url", "set one of them")
    here = bool(table.command)
    if here and table.zone not in {None, Zone.DEVICE}:
        raise fault("zone", "a command runs on this device", "leave zone out")
    zone = table.zone if table.zone is not None else Zone.DEVICE if here else Zone.CLOUD
    label = table.max_label
    if label is None:
        label = Label.PRIVATE if here else Label.PUBLIC
    if not here:
        _check_url(table.url, zone, fault)
    _check_label(label, zone, fault)
    return ToolProgram(
        name=table.name,
        tasks=frozenset(table.tasks),
        command=table.command,
        url=table.url,
        description=table.description,
        schema="" if table.schema is None else msgspec.json.encode(table.schema).decode(),
        timeout_s=table.timeout_s,
        zone=zone,
        max_label=label,
        key=key_of(file.path.parent, table, fault, holds=keys),
    )


def _refuse_twice(file: TomlFile, kind: str, names: Sequence[str]) -> None:
    for at, name in enumerate(names):
        if name in names[:at]:
            raise file.fault((kind, at, "name"), f"{name!r} is there twice", "choose another name")


def _check_url(url: str, zone: Zone, fault: Fault) -> None:
    try:
        parts = urlsplit(url)
        host = parts.hostname
        port_is_right = parts.port is None or parts.port > 0
    except ValueError:
        parts, host, port_is_right = urlsplit(""), None, False
    if parts.scheme not in {"http", "https"} or not host or not port_is_right:
        raise fault("url", "it is no URL", "write it as in 'https://api.example.org/v1'")
    if parts.username is not None or parts.query or parts.fragment:
        raise fault("url", "it has more than a host and a path", "put a key into key_file")
    if zone is Zone.CLOUD and parts.scheme == "http" and not _is_loopback(host):
        raise fault("url", "it sends text in the clear over the internet", "use https://")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_label(label: Label, zone: Zone, fault: Fault) -> None:
    if label is Label.SECRET and zone is not Zone.DEVICE:
        raise fault(
            "max_label", "secret never leaves this device", "set max_label = 'private' at most"
        )
