"""Who gets how many rows of the next batch. Pure.

A batch is either the next row of everybody who generates, or rows of prompts, all about as many:
what llama.cpp is given mixed it computes as several graphs, cut where sequences end, and a prompt's
last rows would be too few for the fast kernels. The two kinds take turns. How many rows of prompts
may come in between is bounded, since those who generate wait for them.
"""

from collections.abc import Iterable

from edgeroute.worker.sequence import Run, Sequence

BLOCK = 64
"""Rows of one sequence from which flash attention on CPUs works in tiles. One row less costs more
than twice as much: at position 400, 63 rows take 1.08 s of CPU and 64 take 0.46 (SmolLM2; Qwen2.5
0.5B: 1.53 and 0.76). So prompts are cut where no fewer are left."""
ALIKE = 8
"""Rows by which prompts of a block and more may differ and be decoded together."""


def plan_batch(
    running: Iterable[Sequence], *, rows: int, prompt_rows: int, since: int, oldest_first: bool
) -> list[Run]:
    """Fill a batch.

    Args:
        running: Sequences with slots, oldest first.
        rows: Rows of a batch.
        prompt_rows: Rows of prompts that those who generate can wait for.
        since: Rows of prompts for which they have waited already.
        oldest_first: Prompts get rows in order of age; otherwise short ones come first. Taking
            turns, short prompts overtake long ones, and yet each comes to its end.

    Returns:
        Runs in order of slots, which llama.cpp needs to decode neighbours together.
    """
    running = list(running)
    prompts = [s for s in running if not s.generating]
    generating = [s for s in running if s.generating]
    left = rows
    if generating:
        left = min(rows, _bearable(prompts, len(generating), prompt_rows) - since)
    if prompts and left > 0:
        prompts.sort(key=lambda s: (not s.urgent, 0 if oldest_first else s.pending))
        return _runs(_together(prompts, left, rows))
    return _runs([(s, 1) for s in generating])


def _together(prompts: list[Sequence], left: int, rows: int) -> list[tuple[Sequence, int]]:
    """Rows of the first prompt, and of others that are computed with it at no loss."""
    first = prompts[0]
    share = _share(first.pending, left, rows)
    chosen = [(first, share)]
    taken = share
    for sequence in prompts[1:]:
        count = _joining(sequence.pending, share, whole=share == first.pending)
        if count and taken + count <= left:
            chosen.append((sequence, count))
            taken += count
    return chosen


def _joining(pending: int, share: int, *, whole: bool) -> int:
    """Rows of a prompt that may go with `share` rows of another; 0 is better on its own.

    Those of less than a block are slow alike, so that all of them go together; a few rows more or
    less are one small graph more, which costs less than a batch of their own.
    """
    if whole and max(pending, share) < BLOCK:
        return pending
    if whole and min(pending, share) >= BLOCK and abs(pending - share) <= ALIKE:
        return pending
    return share if pending >= share + BLOCK or pending == share else 0


def _bearable(prompts: list[Sequence], generating: int, prompt_rows: int) -> int:
    """Rows of prompts for which sequences that generate can wait.

    Several short prompts may go beyond `prompt_rows`, the more the fewer those sequences are: seven
    do not queue up behind one stream, and the last of sixteen that came together does not wait for
    a step of the first.
    """
    short = [s.pending for s in prompts if s.pending <= max(prompt_rows, 2 * BLOCK)]
    beyond = prompt_rows * max(0, len(short) - 1) // generating
    return max(prompt_rows, min(sum(short), prompt_rows + beyond))


def _share(pending: int, left: int, rows: int) -> int:
    """Rows of a prompt in one batch: at least a block, and leaving at least one, if possible."""
    share = min(pending, rows, max(left, BLOCK))
    rest = pending - share
    if 0 < rest < BLOCK:
        if pending <= rows:
            return pending
        if share + rest >= 2 * BLOCK:
            return pending - BLOCK
    return share


def _runs(shares: list[tuple[Sequence, int]]) -> list[Run]:
    row, runs = 0, []
    for sequence, count in sorted(shares, key=lambda share: share[0].slot):
        runs.append(sequence.take_run(row, count))
        row += count
    return runs
