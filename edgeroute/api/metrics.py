"""Counters for Prometheus: what was routed, how it ended, how long it took.

Labels are targets, tasks and codes: few, and never text.
"""

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from edgeroute.domain.decision import Decision, Refusal
from edgeroute.domain.energy import Energy
from edgeroute.domain.outcome import Outcome
from edgeroute.residency.pool import ModelStatus
from edgeroute.residency.prewarm import Guesses
from edgeroute.routing.view import View
from edgeroute.runtime.sessions import Sessions

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """The metrics of one daemon (see `runtime.learn.Observer`).

    Args:
        statuses: How every model stands, read at each scrape.
        guesses: What came of loads that nobody waited for, read as well.
        sessions: Saved conversations.
    """

    def __init__(
        self,
        statuses: Callable[[], Iterable[ModelStatus]],
        guesses: Callable[[], Guesses],
        sessions: Sessions,
    ) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "edgeroute_requests",
            "Requests that ended",
            ["target", "task", "ending"],
            registry=self._registry,
        )
        self._refusals = Counter(
            "edgeroute_refusals", "Requests without an eligible target", registry=self._registry
        )
        self._failovers = Counter(
            "edgeroute_failed_attempts",
            "Targets that failed before the first token",
            ["target", "code"],
            registry=self._registry,
        )
        self._tokens = Counter(
            "edgeroute_tokens", "Tokens", ["target", "kind"], registry=self._registry
        )
        self._joules = Counter(
            "edgeroute_joules",
            "Energy of requests, of this device and of everybody who computed",
            ["app", "target", "of", "quality"],
            registry=self._registry,
        )
        self._usd = Counter(
            "edgeroute_usd", "Dollars by what was counted", ["target"], registry=self._registry
        )
        self._ttft = Histogram(
            "edgeroute_ttft_seconds",
            "From acceptance to the first token",
            ["target"],
            buckets=(0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30),
            registry=self._registry,
        )
        self._registry.register(_Gauges(statuses, guesses, sessions))

    def decided(self, _view: View, decision: Decision | Refusal) -> None:
        """A request was routed or refused."""
        if isinstance(decision, Refusal):
            self._refusals.inc()

    def ended(self, view: View, outcome: Outcome) -> None:
        """A request came to its end."""
        target = outcome.target or "none"
        self._requests.labels(target, view.features.task.value, outcome.ending).inc()
        self._tokens.labels(target, "prompt").inc(outcome.prompt_tokens)
        self._tokens.labels(target, "completion").inc(outcome.completion_tokens)
        if outcome.spent is not None:
            for of in ("device", "system"):
                energy: Energy = getattr(outcome.spent, of)
                self._joules.labels(view.app, target, of, energy.quality).inc(energy.joules)
        if outcome.usd:
            self._usd.labels(target).inc(outcome.usd)
        if outcome.ttft_s is not None:
            self._ttft.labels(target).observe(outcome.ttft_s)
        for attempt in outcome.attempts:
            if attempt.error is not None:
                self._failovers.labels(attempt.target, attempt.error).inc()

    def scrape(self) -> bytes:
        """Everything in the text format."""
        return generate_latest(self._registry)


class _Gauges(Collector):
    """Bytes and leases per model, saved conversations and guesses, read when asked for."""

    def __init__(
        self,
        statuses: Callable[[], Iterable[ModelStatus]],
        guesses: Callable[[], Guesses],
        sessions: Sessions,
    ) -> None:
        self._statuses = statuses
        self._read_guesses = guesses
        self._sessions = sessions

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Yield the gauges."""
        held = GaugeMetricFamily(
            "edgeroute_model_bytes", "Bytes booked", labels=["model", "domain"]
        )
        leases = GaugeMetricFamily("edgeroute_model_leases", "Requests running", labels=["model"])
        for status in self._statuses():
            held.add_metric([status.model, "ram"], status.booked.ram)
            for number, size in enumerate(status.booked.gpu):
                held.add_metric([status.model, f"gpu{number}"], size)
            leases.add_metric([status.model], status.leases)
        kept = GaugeMetricFamily(
            "edgeroute_conversation_bytes",
            "Bytes of saved conversations",
            value=self._sessions.held,
        )
        return held, leases, kept, *self._guesses()

    def _guesses(self) -> Iterable[GaugeMetricFamily]:
        guesses = self._read_guesses()
        loads = GaugeMetricFamily(
            "edgeroute_guesses", "Loads that nobody waited for, since the start", labels=["came"]
        )
        loads.add_metric(["true"], guesses.used)
        loads.add_metric(["open_or_wrong"], guesses.loads - guesses.used)
        yield loads
        yield GaugeMetricFamily(
            "edgeroute_wasted_load_bytes", "Read for wrong guesses", value=guesses.wasted_bytes
        )
        yield GaugeMetricFamily(
            "edgeroute_wasted_load_seconds", "Spent on wrong guesses", value=guesses.wasted_s
        )
