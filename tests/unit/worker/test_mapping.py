"""What a worker gives back of its mapped file, on the real kernel."""

import mmap
from pathlib import Path

from edgeroute.worker.mapping import give_back_pages


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
