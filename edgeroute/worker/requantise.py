"""Writes a model file anew in another format.

    python -m edgeroute.worker.requantise SOURCE TARGET FORMAT --threads N [--dry-run]

The only caller of `llama_model_quantize`. A process of its own, since llama.cpp reads a file that
may be hostile here, and since it may be ended at any time: TARGET is then half a file, which is the
starter's to remove. Says `Share`, then `Requantised` or `Failed`; exit status 0 or 1.
"""

import argparse
import ctypes
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import llama_cpp.llama_cpp as llama

from edgeroute.domain.units import MIB
from edgeroute.wire.ggml import FILE_TYPES
from edgeroute.wire.measuring import Failed, Requantised
from edgeroute.worker.lines import listen, say, share_teller
from edgeroute.worker.llama_log import LlamaLog

_TENSOR = re.compile(r"\[ *(\d+)/ *(\d+)\]")
_SIZE = re.compile(r"quant size += +([\d.]+) MiB")
_PAGE = 4096


class _QuantiserLog(LlamaLog):
    """What llama.cpp says of its progress and of the size that comes out, for want of an API.

    Attributes:
        tensor_bytes: Of the new file's weights, rounded up; 0 until it is said.
    """

    def __init__(self, tell: Callable[[float], None]) -> None:
        super().__init__()
        self.tensor_bytes = 0
        self._tell = tell

    def note(self, level: int, line: str) -> None:
        """Take one line of the log."""
        super().note(level, line)
        if match := _TENSOR.match(line):
            self._tell(int(match[1]) / int(match[2]))
        elif match := _SIZE.search(line):
            self.tensor_bytes = int((float(match[1]) + 0.01) * MIB)


def main() -> int:
    """Run as the command line says."""
    numbers = {name: number for number, name in FILE_TYPES.items()}
    parser = argparse.ArgumentParser(prog="python -m edgeroute.worker.requantise")
    parser.add_argument("source")
    parser.add_argument("target")
    parser.add_argument("format", choices=numbers)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--dry-run", action="store_true", help="write nothing, tell the size")
    arguments = parser.parse_args()
    listen()
    log = _QuantiserLog(share_teller())
    log.listen()
    params = llama.llama_model_quantize_default_params()
    params.nthread = arguments.threads
    params.ftype = numbers[arguments.format]
    params.allow_requantize = True
    params.dry_run = arguments.dry_run
    source, target = os.fsencode(arguments.source), os.fsencode(arguments.target)
    if llama.llama_model_quantize(source, target, ctypes.byref(params)):
        refusal = None if arguments.dry_run else _refusal(Path(arguments.target))
        say(Failed(refusal or log.reason(), no_space=refusal is not None))
        return 1
    if not arguments.dry_run:
        _flush(arguments.target)
    say(Requantised(log.tensor_bytes))
    return 0


def _refusal(target: Path) -> str | None:
    """Why a file takes no more bytes, `None` where it does; llama.cpp says "iostream error"."""
    try:
        with target.open("ab", buffering=0) as file:
            file.write(bytes(_PAGE))
    except OSError as error:
        return error.strerror
    return None


def _flush(target: str) -> None:
    """Bring it to the disk, so that a card never names a file that a power cut has shortened."""
    descriptor = os.open(target, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


if __name__ == "__main__":
    sys.exit(main())
