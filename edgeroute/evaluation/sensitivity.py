"""How well identifiers and secrets are found: recall, false alarms, time.

Owns the figures. **Flagged** is a row whose label is above `public`: by a secret, by a hard
identifier, or by weak evidence of two kinds (a name and a date of birth); a bare name is not
flagged. A row is sensitive where it says so (`sensitive`), or else where it has spans; a row with
neither key is timed and predicted, and counts in no figure. A **span** is found where findings of
any type cover at least half of its characters: sets name their types differently. What is timed is
the scan of the row as a request of one message, by the wall clock.
"""

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import msgspec

from edgeroute.domain.privacy import Label
from edgeroute.domain.request import AUTO, Message, Request
from edgeroute.domain.units import RequestId
from edgeroute.evaluation.rows import latency_us
from edgeroute.understanding.sensitivity import Finding, scan, scan_request


class Span(msgspec.Struct, frozen=True):
    """A labelled piece of a text, in characters: `text[start:end]`."""

    start: int
    end: int
    type: str


class SensitivityRow(msgspec.Struct, frozen=True):
    """A text, and what is sensitive in it where that is known."""

    id: str | int
    text: str
    spans: tuple[Span, ...] | None = None
    sensitive: bool | None = None

    @property
    def is_sensitive(self) -> bool | None:
        """Whether it should be flagged; `None` where the row does not say."""
        if self.sensitive is None and self.spans is not None:
            return bool(self.spans)
        return self.sensitive


@dataclass(frozen=True, slots=True)
class Prediction:
    """What was found in a row.

    Attributes:
        label: What the row demands as a request of one message.
        took_us: Microseconds of that.
    """

    row: SensitivityRow
    label: Label
    findings: tuple[Finding, ...]
    took_us: float

    @property
    def flagged(self) -> bool:
        """Whether the row may not travel freely."""
        return self.label > Label.PUBLIC


def predict(rows: Iterable[SensitivityRow]) -> list[Prediction]:
    """Scan every row as a request of one message."""
    predictions = []
    for row in rows:
        request = Request(RequestId(str(row.id)), AUTO, (Message("user", row.text),))
        began = time.perf_counter_ns()
        label = scan_request(request).label
        took_us = (time.perf_counter_ns() - began) / 1e3
        predictions.append(Prediction(row, label, scan(row.text), took_us))
    return predictions


def out_rows(predictions: Iterable[Prediction]) -> Iterator[dict[str, object]]:
    """One line per row, labelled or not; spans of every strength."""
    for made in predictions:
        spans = [{"start": f.start, "end": f.end, "type": f.type} for f in made.findings]
        yield {"id": made.row.id, "label": made.label.word, "spans": spans}


def report(predictions: Sequence[Prediction]) -> dict[str, object]:
    """Figures over the rows that say whether they are sensitive; the time is over all.

    Shares are `None` where there is no row of the kind.
    """
    sensitive = [made.flagged for made in predictions if made.row.is_sensitive is True]
    clean = [made.flagged for made in predictions if made.row.is_sensitive is False]
    return {
        "n": len(sensitive) + len(clean),
        "sensitive": {"n": len(sensitive), "recall": _share(sensitive)},
        "clean": {"n": len(clean), "flagged": _share(clean)},
        "by_type": {
            kind: {"n": len(found), "recall": _share(found)}
            for kind, found in sorted(_found_by_type(predictions).items())
        },
        "latency_us": latency_us([made.took_us for made in predictions]),
    }


def evaluate(rows: Iterable[SensitivityRow]) -> dict[str, object]:
    """Scan the rows and report; see `report`."""
    return report(predict(rows))


_ENOUGH = 0.5


def _found_by_type(predictions: Iterable[Prediction]) -> dict[str, list[bool]]:
    found = defaultdict(list)
    for made in predictions:
        for span in made.row.spans or ():
            covered = sum(
                max(0, min(span.end, finding.end) - max(span.start, finding.start))
                for finding in made.findings  # none overlaps another
            )
            found[span.type].append(covered >= _ENOUGH * (span.end - span.start))
    return found


def _share(found: Sequence[bool]) -> float | None:
    return round(sum(found) / len(found), 4) if found else None
