"""Chat templates: a conversation as the one text that a model was trained to continue.

Owns rendering and its bounds. A template comes out of a model file, so it is a stranger's program:
it runs in jinja2's sandbox, under limits of CPU time, memory and output. Knows no tokens.
"""

import json
import resource
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from jinja2 import TemplateError, nodes
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from edgeroute.domain.errors import InvalidRequest
from edgeroute.worker.conversation import Turn, texts_in

CPU_S = 0.5
"""Seconds of CPU for one rendering; real ones take under a millisecond."""
KILL_S = 5.0
"""Seconds of CPU after which the kernel ends this process. A single call into C (a power of ten
inside a filter) never comes back to the interpreter to be told that its time is over; the process
serves no model but the one whose template this is."""
MEMORY = 64 << 20
"""Bytes that a rendering may allocate, plus `MEMORY_PER_CHARACTER` of the conversation."""
MEMORY_PER_CHARACTER = 32
MARKUP = 1 << 18
"""Characters that a template may add to twice those of the conversation."""
NUMBER_BITS = 4096
"""Larger products and powers are refused: their cost grows faster than any limit can stop them."""
PLAIN = """\
{% for message in messages %}{{ message.role }}: {{ message.content }}
{% endfor %}assistant:"""
"""For files without a template (base models): one `role: content` line per message."""


class _Expired(Exception):
    """The CPU time of a rendering is used up."""


class _GenerationTags(Extension):
    """Reads `{% generation %}...{% endgeneration %}`, which mark text for training, as nothing."""

    tags = {"generation"}  # noqa: RUF012 - jinja2 declares it so

    def parse(self, parser: Parser) -> list[nodes.Node]:
        parser.stream.skip(1)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class _Environment(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset(["*", "**"])

    def call_binop(self, context: Context, operator: str, left: object, right: object) -> object:
        if isinstance(left, int) and isinstance(right, int):
            bits = left.bit_length()
            bits = bits * abs(right) if operator == "**" else bits + right.bit_length()
            if bits > NUMBER_BITS:
                raise SecurityError("it computes a number that is too large")
        return super().call_binop(context, operator, left, right)


class ChatTemplate:
    """A compiled template, with the variables and functions that Hugging Face templates expect."""

    def __init__(self, source: str | None, *, bos: str, eos: str) -> None:
        """Compile.

        Args:
            source: The template; `None` is `PLAIN`.
            bos: Text of the token that begins a sequence, empty where there is none.
            eos: Text of the token that ends one.

        Raises:
            InvalidRequest: It is not a template, or too costly to read.
        """
        environment = _Environment(
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=["jinja2.ext.loopcontrols", _GenerationTags],
        )
        environment.filters["tojson"] = _to_json
        environment.globals |= {
            "raise_exception": _raise_exception,
            "strftime_now": _strftime_now,
            "bos_token": bos,
            "eos_token": eos,
            "add_generation_prompt": True,
            "tools": None,
            "documents": None,
        }
        source = PLAIN if source is None else source
        # OpenAI's newer name for the system role; few templates know it.
        self._knows_developer = "developer" in source
        with _bounded(len(source)):
            self._template = environment.from_string(source)

    def render(self, turns: Sequence[Turn], functions: Sequence[Mapping[str, Any]] = ()) -> str:
        """Render a conversation, up to where the assistant's answer begins.

        Args:
            turns: As `conversation.turns_of` makes them.
            functions: That the answer may call.

        Raises:
            InvalidRequest: The template refuses the conversation, in its own words, or goes
                beyond its limits.
        """
        characters = sum(map(len, texts_in([*turns, *functions])))
        given = {"messages": [self._turn(turn) for turn in turns]}
        if functions:
            given["tools"] = list(functions)
        with _bounded(characters):
            text = self._template.render(given)
        if len(text) > 2 * characters + MARKUP:
            raise InvalidRequest(
                f"the model's chat template makes {len(text)} characters of {characters}"
            )
        return text

    def _turn(self, turn: Turn) -> Turn:
        if turn["role"] == "developer" and not self._knows_developer:
            return {**turn, "role": "system"}
        return turn


@contextmanager
def _bounded(characters: int) -> Iterator[None]:
    """Run a template within its limits; whatever it raises comes out as `InvalidRequest`."""
    try:
        with _memory_limit(MEMORY + MEMORY_PER_CHARACTER * characters), _cpu_limit():
            yield
    except _Expired:
        raise InvalidRequest(f"the model's chat template takes over {CPU_S} s") from None
    except MemoryError:
        raise InvalidRequest("the model's chat template takes too much memory") from None
    except Exception as error:  # noqa: BLE001 - a template may raise anything
        reason = (str(error) or type(error).__name__)[:300]
        raise InvalidRequest(f"the model's chat template refuses this: {reason}") from None


@contextmanager
def _cpu_limit() -> Iterator[None]:
    """Raise `_Expired` after `CPU_S`; end the process after `KILL_S`.

    CPU time, so that a busy machine refuses nothing that an idle one renders.
    """
    signal.signal(signal.SIGPROF, _expire)
    signal.setitimer(signal.ITIMER_PROF, CPU_S)
    signal.setitimer(signal.ITIMER_VIRTUAL, KILL_S)  # SIGVTALRM is not handled: it kills
    try:
        yield
    finally:
        try:  # `_Expired` may come even here
            signal.setitimer(signal.ITIMER_PROF, 0)
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)


@contextmanager
def _memory_limit(size: int) -> Iterator[None]:
    """Let this process grow by `size` bytes and no more. Only Linux tells how large it is."""
    if sys.platform != "linux":
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    limit = pages * resource.getpagesize() + size
    resource.setrlimit(resource.RLIMIT_AS, (limit if hard < 0 else min(limit, hard), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _expire(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise _Expired


def _raise_exception(message: str) -> NoReturn:
    raise TemplateError(message)


def _strftime_now(form: str) -> str:
    return datetime.now().strftime(form)  # noqa: DTZ005 - the user's day


def _to_json(
    value: object,
    ensure_ascii: bool = False,  # noqa: FBT001, FBT002 - as templates call it
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,  # noqa: FBT001, FBT002
) -> str:
    return json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
    )
