"""The process: builds every part, runs them, and takes them down in order.

Owns the lock, the socket and the background task.
"""

import asyncio
import gc
import logging
import os
import random
import resource
import time
import uuid
from typing import Any

import uvloop

from edgeroute import __version__
from edgeroute.api.app import build_app
from edgeroute.api.house import House
from edgeroute.api.metrics import Metrics
from edgeroute.api.rpc import RpcServer
from edgeroute.api.server import HttpServer
from edgeroute.backends.engine import engine_name, library_folder, offloads
from edgeroute.backends.spawn import SpawnBackend
from edgeroute.catalog import Catalog
from edgeroute.catalog.devices import recognise
from edgeroute.catalog.folders import shipped
from edgeroute.config import Endpoint, Folders, Settings
from edgeroute.daemon.apps import Apps
from edgeroute.daemon.elsewhere import providers_of
from edgeroute.daemon.energy import (
    build_consumptions,
    build_metering,
    calibrated_idleness,
    day_clock,
)
from edgeroute.daemon.experience import recalled_experience
from edgeroute.daemon.habits import recalled
from edgeroute.daemon.lan import local_network
from edgeroute.daemon.listening import Listening, listening
from edgeroute.daemon.memory import Allowed, MachineMemory
from edgeroute.daemon.models import Models
from edgeroute.daemon.money import build_purse
from edgeroute.daemon.probing import Probing
from edgeroute.daemon.status import StatusBoard
from edgeroute.daemon.supervisor import tell
from edgeroute.domain.load import Footprint, LoadPlan
from edgeroute.domain.target import Warmth
from edgeroute.domain.units import Bytes, ModelId, RequestId
from edgeroute.evaluation.probes import read_probes
from edgeroute.ports import Runner
from edgeroute.residency.cores import Cores
from edgeroute.residency.placement import PlanOptions
from edgeroute.residency.pool import PoolState
from edgeroute.routing.affinity import PrefixAffinity
from edgeroute.routing.second_copy import served_by_peers
from edgeroute.runtime.asking import Means
from edgeroute.runtime.conditions import Conditions
from edgeroute.runtime.dispatch import Dispatcher, World
from edgeroute.runtime.governor import Governor
from edgeroute.runtime.guests import Guests
from edgeroute.runtime.judging import Judging
from edgeroute.runtime.labelling import Labelling
from edgeroute.runtime.learn import Learner
from edgeroute.runtime.memory_watch import watch_memory
from edgeroute.runtime.places import Places
from edgeroute.runtime.pool import Pool
from edgeroute.runtime.profiles import Profiles
from edgeroute.runtime.record import Record
from edgeroute.runtime.roster import LiveRoster
from edgeroute.runtime.second_tries import SecondTries
from edgeroute.runtime.sessions import Sessions, share_of
from edgeroute.runtime.settling import Settling
from edgeroute.runtime.shelf import Shelf
from edgeroute.runtime.telemetry import TelemetryFeed
from edgeroute.sensors.machine import Machine
from edgeroute.sensors.network import network_changes
from edgeroute.store.audit import AuditLog
from edgeroute.store.journal import SqliteJournal
from edgeroute.store.lock import DaemonLock
from edgeroute.understanding.reader import Reader

_log = logging.getLogger("edgeroute")

_ENGINE = engine_name()


def run(folders: Folders, ready_fd: int | None, tcp: Endpoint | None = None) -> None:
    """Run the daemon until SIGTERM or SIGINT.

    `ready_fd` gets one byte once requests are taken and is closed then; `tcp` is listened on too.

    Raises:
        AlreadyRunning: Another daemon holds the runtime folder.
        InvalidConfig: The settings are wrong, or a folder or file cannot be used.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    for talkative in ("uvicorn", "httpx2"):
        logging.getLogger(talkative).setLevel(logging.WARNING)
    os.umask(0o077)  # what is remembered is nobody else's to read
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a dump would hold keys and prompts
    folders.create()
    lock = DaemonLock(folders.lock)
    try:
        with listening(folders, tcp) as sockets:
            uvloop.run(Daemon(folders, sockets).serve(ready_fd))
    finally:
        del lock


def _new_id() -> RequestId:
    return RequestId(uuid.uuid4().hex[:16])


class Daemon:
    """Everything that lives as long as the process."""

    def __init__(self, folders: Folders, sockets: Listening) -> None:
        self._folders, self._sockets, began = folders, sockets, time.monotonic()
        self._machine = Machine()
        known = recognise(self._machine.hardware())
        self._settings = settings = Settings.load(folders, known.device, keys=True)
        self._hardware, self._device = known.hardware, known.device
        catalog = Catalog.load(folders)
        catalog.profile(settings.profile)  # there must be such a one
        self._apps = Apps(folders, settings, catalog.profiles)
        self._journal = SqliteJournal(folders.journal, time.time())
        cpu = self._hardware.cpu
        options = PlanOptions(threads=cpu.threads, context=settings.context, slots=settings.slots)
        self._models = Models(catalog, options, known, self._journal, _ENGINE)
        self._sessions = Sessions(self._sessions_limit)
        memory = MachineMemory(
            self._machine,
            Allowed(settings.budget, offloads(library_folder()), known.device),
            self._sessions,
            self._models.footprints,
            time.monotonic,
        )
        cores = Cores(cpu.threads, len(cpu.allowed))
        backend = SpawnBackend(self._machine.footprint, self._machine.anonymous)
        self._pool = Pool(
            PoolState(
                self._models.specs(),
                memory.budget(Footprint(), loading=False),
                memory.gpus(ours=False),
                demand=recalled(
                    self._journal.uses(),
                    self._models.ids,
                    time.monotonic(),
                    time.time(),
                ),
            ),
            backend,
            memory,
            time.monotonic,
            self._loaded,
            Governor(
                cores,
                lambda pids: self._machine.cpu_times(cpu.allowed, pids),
                lambda: (os.getpid(), *backend.pids),
                time.monotonic,
            ),
        )
        self._metering = build_metering(
            self._machine,
            known,
            lambda: backend.pids,
            self._warm,
            calibrated_idleness(self._journal, catalog.cards),
        )
        self._labelling = Labelling(settings.policy)
        self._audit = AuditLog(folders.audit)
        self._purse = build_purse(settings.spend, folders.spend)
        self._providers = providers_of(
            settings, self._journal, self._purse, self._audit, lambda: self._labelling.policy
        )
        self._roster = LiveRoster(
            self._pool,
            self._providers,
            settings.slots,
            self._models.prior,
            build_consumptions(self._journal, _ENGINE),
            self._metering,
        )
        self._use_cards()
        self._conditions = Conditions(self._pool, time.monotonic, time.time)
        self._telemetry = TelemetryFeed(
            self._machine, self._watch_machine, lambda: self._metering.generating
        )
        self._roster.set_conditions(self._telemetry.now)
        self._profiles = Profiles(catalog.profiles, settings.profile, time.monotonic, day_clock)
        self._profiles.observe(self._telemetry.now, None)
        record = Record(self._journal)
        metrics = Metrics(self._pool.snapshot, lambda: self._pool.guesses, self._sessions)
        reader = Reader.load(shipped("models") / "understanding")
        quality, experience = recalled_experience(reader.width, self._journal)
        judging = Judging(quality, self._journal, record, experience.keep)
        self._settling = Settling(settings.tasks)
        world = World(
            understanding=reader,
            labelling=self._labelling,
            affinity=PrefixAffinity(),
            settling=self._settling,
            judging=judging,
            profiles=self._profiles,
            roster=self._roster,
            pool=self._pool,
            means=Means(
                Places(self._pool, self._providers),
                self._roster,
                SecondTries(random.random),
                time.monotonic,
            ),
            purse=self._purse,
            telemetry=self._telemetry,
            clock=time.monotonic,
            draw=random.random,
        )
        self._neighbours = local_network(
            settings.lan,
            folders,
            Guests(
                self._pool,
                self._roster,
                self._telemetry,
                _new_id,
                time.monotonic,
                share=settings.lan is not None and settings.lan.share,
            ),
            self._providers,
            Shelf(
                lambda: self._models.catalog.cards,
                self._telemetry,
                give=settings.lan is not None and settings.lan.give,
            ),
            experience,
        )
        dispatcher = Dispatcher(world, Learner(self._roster, judging, record, metrics, time.time))
        self._probing = Probing(
            lambda: read_probes(shipped("models") / "probes"),
            dispatcher,
            judging,
            self._roster.current,
            lambda: not self._telemetry.now.power.on_battery,
            _new_id,
        )
        self._house = House(
            version=__version__,
            dispatcher=dispatcher,
            record=record,
            metrics=metrics,
            callers=self._apps.callers,
            neighbours=self._neighbours,
            models=lambda: self._roster.current().ids,
            status=StatusBoard(
                began=began,
                folders=folders,
                tcp=sockets.endpoint,
                profiles=self._profiles,
                engine=_ENGINE,
                hardware=self._hardware,
                telemetry=self._telemetry,
                pool=self._pool,
                roster=self._roster,
                providers=self._providers,
                purse=self._purse,
                sessions=self._sessions,
                sessions_limit=self._sessions_limit,
                cores=cores,
                models=self._models,
            ).read,
            reload=self.reload,
            probe=self._probing.next,
            new_id=_new_id,
            wall_clock=time.time,
        )

    async def serve(self, ready_fd: int | None) -> None:
        """Take requests until told to stop, let answers finish, end the workers."""
        self._tell_conditions()
        background = [
            asyncio.create_task(self._telemetry.run(), name="telemetry"),
            asyncio.create_task(watch_memory(self._pool, self._sessions), name="memory"),
            asyncio.create_task(self._providers.run(), name="providers"),
            asyncio.create_task(self._providers.follow(network_changes()), name="network"),
            asyncio.create_task(self._neighbours.run(), name="neighbours"),
            asyncio.create_task(self._probing.run(), name="probing"),
        ]
        self._keep_pinned()
        app = build_app(self._house)
        server = HttpServer(app, lambda: self._tell_ready(ready_fd), self._pool.drain)
        native = RpcServer(self._house)
        await native.start(self._sockets.rpc)
        gc.freeze()  # what is built by now lives as long as the process
        try:
            await server.serve(self._sockets.of_http)
        finally:
            tell("STOPPING=1", os.environ)
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)
            await native.close()
            await self._providers.close()
            await asyncio.to_thread(self._audit.close)
            await self._pool.close()
            self._sessions.close()
            self._models.remember(self._roster.rates)
            self._journal.close()
            self._purse.close()

    async def reload(self) -> dict[str, Any]:
        """Read settings and catalog again; what was measured of the models stays known."""
        # A token that was taken away shall not live on for a mistake in config.toml.
        self._apps.reload(None)
        settings = await asyncio.to_thread(Settings.load, self._folders, self._device, keys=True)
        self._apps.reload(settings)
        self._settling.by_task = settings.tasks
        self._labelling.policy = settings.policy
        self._profiles.configure(settings.profile)
        self._profiles.observe(self._telemetry.now, None)
        self._models.remember(self._roster.rates)
        catalog = await asyncio.to_thread(Catalog.load, self._folders)
        self._models.read_again(catalog)
        self._use_cards()
        self._pool.replace_models(self._models.specs())
        self._keep_pinned()
        return {
            "models": [card.id for card in self._models.catalog.cards],
            "apps": sorted(self._apps.callers.register.apps),
            "profile": self._profiles.in_force,
        }

    def _use_cards(self) -> None:
        cards = self._models.catalog.cards
        self._roster.replace_cards(cards, self._models.measured, self._models.calibrated)
        self._sessions.replace_models(card.sha256 for card in cards)

    def _tell_ready(self, ready_fd: int | None) -> None:
        _log.info(
            "edgeroute %s: %d models, profile %s, listening on %s%s",
            __version__,
            len(self._models.ids),
            self._settings.profile,
            self._folders.http_socket,
            "" if self._sockets.endpoint is None else f" and {self._sockets.endpoint}",
        )
        tell("READY=1", os.environ)
        if ready_fd is not None:
            os.write(ready_fd, b"1")
            os.close(ready_fd)

    def _sessions_limit(self) -> Bytes:
        everything = self._pool.budget.ram + self._sessions.held
        return share_of(everything, self._settings.conversations)

    async def _watch_machine(self) -> None:
        self._metering.look_idle()
        self._roster.set_conditions(self._telemetry.now)
        self._profiles.observe(self._telemetry.now, self._roster.speed())
        self._tell_conditions()
        self._keep_pinned()

    def _tell_conditions(self) -> None:
        self._conditions.update(
            self._telemetry.now.power,
            self._profiles.profile,
            self._metering.warmth_w(),
            served_by_peers(self._roster.current()),
        )

    def _keep_pinned(self) -> None:
        """Load pinned models that are not there: at the start, after a change, after a death."""
        pinned = self._models.pinned
        if pinned:
            self._pool.warm(
                status.model
                for status in self._pool.snapshot()
                if status.model in pinned and status.fits and status.warmth is Warmth.COLD
            )

    def _warm(self) -> list[ModelId]:
        return [model.model for model in self._pool.snapshot() if model.warmth is Warmth.WARM]

    def _loaded(self, plan: LoadPlan, runner: Runner) -> None:
        self._sessions.welcome(plan, runner)
        if plan.model in self._models.ids:  # else unlinked meanwhile
            self._roster.learn_load(plan.model, runner.load_s)
