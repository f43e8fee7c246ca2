"""A tool that is a command: one process per question, text on its standard input.

Owns the process: nothing of the daemon's environment but what any program needs, bounded output,
and a process group that never outlives its question.
"""

import asyncio
import os
import shutil
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from edgeroute.backends.environment import program_environment
from edgeroute.domain.errors import ToolFailed

_MOST_OUTPUT: Final = 1 << 20
_TOLD: Final = 200
"""Bytes of its standard error that an error quotes."""


class Program:
    """Runs a command (see `tool.Runs`).

    Args:
        command: Program and arguments; no shell reads them.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command

    async def probe(self) -> None:
        """See `tool.Runs`."""
        program = self._command[0]
        if await asyncio.to_thread(shutil.which, program) is None:
            raise ToolFailed(f"there is no program {program!r}", hint="install it")

    async def __call__(self, text: str) -> str:
        """See `tool.Runs`."""
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=PIPE,
                stdout=PIPE,
                stderr=PIPE,
                env=program_environment(os.environ.items()),
                start_new_session=True,  # a group of its own, to be ended as one
            )
        except OSError as error:
            raise ToolFailed(f"{self._command[0]}: {error.strerror}") from error
        try:
            said, complained = await self._talk(process, text)
        finally:
            await asyncio.shield(_end(process))
        if process.returncode:
            raise ToolFailed(f"{self._command[0]} ended with {process.returncode}: {complained}")
        try:
            return said.decode().rstrip("\n")
        except UnicodeDecodeError as error:
            raise ToolFailed(f"{self._command[0]}: its output is not UTF-8") from error

    async def close(self) -> None:
        """See `tool.Runs`: its processes end with their questions."""

    async def _talk(self, process: Process, text: str) -> tuple[bytes, str]:
        assert process.stdin is not None  # noqa: S101 - as piped above
        assert process.stdout is not None  # noqa: S101
        assert process.stderr is not None  # noqa: S101
        said, complained, _ = await asyncio.gather(
            _read(process.stdout), _tail(process.stderr), _tell(process.stdin, text)
        )
        await process.wait()
        return said, complained.decode(errors="replace").strip()


async def _tell(stdin: asyncio.StreamWriter, text: str) -> None:
    with suppress(ConnectionError):  # it may answer without having read all, or any
        stdin.write(text.encode())
        await stdin.drain()
        stdin.close()
        await stdin.wait_closed()


async def _read(stdout: asyncio.StreamReader) -> bytes:
    read = bytearray()
    while piece := await stdout.read(1 << 16):
        read += piece
        if len(read) > _MOST_OUTPUT:
            raise ToolFailed(f"its output is over {_MOST_OUTPUT} bytes")
    return bytes(read)


async def _tail(stderr: asyncio.StreamReader) -> bytes:
    last = b""
    while piece := await stderr.read(1 << 16):
        last = (last + piece)[-_TOLD:]
    return last


async def _end(process: Process) -> None:
    """Nothing of the group is left, whatever it has started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    # Output that nobody read to its end would keep `wait` from ever returning.
    process._transport.close()  # type: ignore[attr-defined] # noqa: SLF001 - no public way to drop the pipes
    await process.wait()
