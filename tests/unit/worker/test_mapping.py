"""What a worker gives back of its mapped file, on the real kernel."""

import mmap
from pathlib import Path

from edgeroute.worker.mapping import give_back_pages, give_back_zeros


def test_pages_given_back_are_gone_from_the_process_and_read_again_all_the_same(
    tmp_path: Path,
) -> None:
    file = tmp_path / "weights"
    file.write_bytes(bytes(range(256)) * (64 << 12))  # 64 MiB
    with file.open("rb") as source, mmap.mmap(source.fileno(), 0, prot=mmap.PROT_READ) as mapped:
        before = sum(mapped[::4096])
        held = _pss_file_mib()
        give_back_pages(str(file))
        assert held - _pss_file_mib() > 60
        assert sum(mapped[::4096]) == before


def _pss_file_mib() -> float:
    text = Path("/proc/self/smaps_rollup").read_text()
    (line,) = [line for line in text.splitlines() if line.startswith("Pss_File:")]
    return int(line.split()[1]) / 1024


def test_zeros_that_were_written_are_given_back_and_read_as_zeros() -> None:
    with mmap.mmap(-1, 64 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        for start in range(0, len(memory), 1 << 20):
            memory[start : start + (1 << 20)] = bytes(1 << 20)
        memory[20 << 20] = 7
        held = _rss_anon_mib()
        assert give_back_zeros() >= 50 << 20
        assert held - _rss_anon_mib() > 50
        assert memory[20 << 20] == 7
        assert memory[: 20 << 20].count(0) == 20 << 20


def _rss_anon_mib() -> float:
    text = Path("/proc/self/status").read_text()
    (line,) = [line for line in text.splitlines() if line.startswith("RssAnon:")]
    return int(line.split()[1]) / 1024
