"""What each query that is under way has taken so far.

Owns the bills, and what workers have taken and not said for whom. The rule of the split is
`routing/attribution`'s.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from edgeroute.domain.energy import Energy, Quality, worst
from edgeroute.ports import Runner
from edgeroute.routing.attribution import Unclaimed

_MODEL_OFF = 0.5
"""A core takes half of what is assumed or half as much again: a phone's and a server's differ by
ten, but watts are calibrated where that matters."""
_METER_OFF = 0.1
"""INA3221 and RAPL are a few percent off; the split among queries adds to that."""


@dataclass(eq=False, slots=True)
class Bill:
    """What one query has taken so far.

    Attributes:
        quality: Of the worst window; `None` before the first.
        reading: Nothing has come yet: its prompt is being read.
        whole: Its last piece has come, so that all its seconds are known.
        prefill_s: Seconds that its worker has computed for its prompt and that are not paid for.
        decode_s: The same for its answer.
    """

    runner: Runner
    prefill_j: float = 0.0
    decode_j: float = 0.0
    quality: Quality | None = None
    reading: bool = True
    whole: bool = False
    prefill_s: float = 0.0
    decode_s: float = 0.0

    @property
    def energy(self) -> Energy:
        """Both, as far as the meter is to be believed: a model may be off by half."""
        joules = self.prefill_j + self.decode_j
        quality = self.quality or "model"
        off = _MODEL_OFF if quality == "model" else _METER_OFF
        return Energy(joules, joules * (1 - off), joules * (1 + off), quality)

    def drew(self, worked_s: float, *, last: bool = False) -> None:
        """A piece came, for which its worker has computed so long. The first is the prompt's."""
        if self.reading:
            self.prefill_s += worked_s
        else:
            self.decode_s += worked_s
        self.reading = False
        self.whole |= last

    def pay(self, prefill_j: float, decode_j: float) -> None:
        """Take its part of a window."""
        self.prefill_j += prefill_j
        self.decode_j += decode_j


class Bills:
    """The bills of all queries under way."""

    def __init__(self) -> None:
        self._of: dict[int, list[Bill]] = {}  # by process
        self._unclaimed: dict[int, dict[str, Unclaimed]] = defaultdict(dict)  # and by meter

    @property
    def pids(self) -> frozenset[int]:
        """The processes that have queries."""
        return frozenset(self._of)

    @property
    def gpu_pids(self) -> frozenset[int]:
        """Those of them that compute on GPUs."""
        return frozenset(pid for pid, bills in self._of.items() if bills[0].runner.plan.gpu_layers)

    def open(self, bill: Bill) -> None:
        """Begin one."""
        self._of.setdefault(bill.runner.pid, []).append(bill)

    def charge(
        self, meter: str, processes: Mapping[int, float], seconds: float, quality: Quality
    ) -> None:
        """Have queries pay for a window, as far as is known for whom it was.

        Args:
            meter: Its name.
            processes: Joules of each process.
            seconds: Of the window.
            quality: Of the joules.
        """
        for pid in self._of.keys() & processes.keys():
            bills, unclaimed = self._of[pid], self._unclaimed[pid]
            grown = unclaimed.get(meter, Unclaimed()).grown(processes[pid], seconds)
            claims = [part for bill in bills for part in (bill.prefill_s, bill.decode_s)]
            unclaimed[meter], paid = grown.claimed(claims)
            for bill, prefill_j, decode_j in zip(bills, paid[::2], paid[1::2], strict=True):
                bill.pay(prefill_j, decode_j)
                bill.quality = quality if bill.quality is None else worst(bill.quality, quality)

    def end_window(self) -> None:
        """All meters have been read: what was claimed is paid for."""
        for bills in self._of.values():
            for bill in bills:
                bill.prefill_s = bill.decode_s = 0.0

    def close(self, bill: Bill) -> None:
        """End one; who leaves before the end pays an equal part of what nobody has claimed."""
        pid = bill.runner.pid
        bills, unclaimed = self._of[pid], self._unclaimed[pid]
        part = 0.0 if bill.whole and len(bills) > 1 else 1.0 / len(bills)
        for meter, left in unclaimed.items():
            joules = part * left.joules
            bill.pay(joules if bill.reading else 0.0, 0.0 if bill.reading else joules)
            unclaimed[meter] = Unclaimed(left.joules - joules, (1.0 - part) * left.seconds)
        bills.remove(bill)
        if not bills:
            del self._of[pid], self._unclaimed[pid]
