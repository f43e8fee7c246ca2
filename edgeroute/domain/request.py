"""What an app asks for and what streams back.

Owns the request as every interface shares it; how bytes become one is `wire`'s.
"""

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass, field
from typing import Literal

from edgeroute.domain.capability import Capability
from edgeroute.domain.privacy import UNLABELLED, Label
from edgeroute.domain.units import Joules, RequestId, Usd

Role = Literal["system", "developer", "user", "assistant", "tool"]
FinishReason = Literal["stop", "length", "tool_calls"]
Priority = Literal["interactive", "background"]
Overflow = Literal["refuse", "shift"]
"""What happens when an answer outgrows the context: it ends there with `length`, or the oldest
turns are dropped from memory and it goes on."""
OnDevice = Literal["only", "prefer", "any"]
"""Whether an answer must come from this device, should where it can, or may come from anywhere."""
ToolChoice = Literal["auto", "none", "required"]
FormKind = Literal["text", "json", "schema", "grammar"]

AUTO = "auto"
"""The model name that asks for routing; `auto:<profile>` also names the profile."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A function that a model wants called.

    Attributes:
        id: Names the call; the message with its result says it again.
        arguments: JSON text as the model wrote it, which may not be valid.
    """

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation.

    Attributes:
        name: Who speaks, where several have the same role; empty is nobody in particular.
        tool_calls: What an assistant's turn called.
        tool_call_id: Whose result a tool's turn is.
    """

    role: Role
    content: str
    name: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""

    @property
    def texts(self) -> Iterator[str]:
        """Every text in it that somebody wrote."""
        yield from filter(None, (self.content, self.name, self.tool_call_id))
        for call in self.tool_calls:
            yield from filter(None, (call.id, call.name, call.arguments))


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that a model may call.

    Attributes:
        parameters: JSON schema of its arguments, as JSON text.
    """

    name: str
    description: str = ""
    parameters: str = "{}"


@dataclass(frozen=True, slots=True)
class Toolbox:
    """The functions of a request, and what is to be done with them.

    Attributes:
        choice: The model decides, must not call any, or must call one.
        only: With `required`, the one function that must be called; empty is any.
        parallel: One turn may call several.
    """

    tools: tuple[Tool, ...] = ()
    choice: ToolChoice = "auto"
    only: str = ""
    parallel: bool = True

    @property
    def offered(self) -> tuple[Tool, ...]:
        """The functions that the model may call."""
        return () if self.choice == "none" else self.tools

    @property
    def texts(self) -> Iterator[str]:
        """Every text in it that somebody wrote."""
        for tool in self.tools:
            yield from filter(None, (tool.name, tool.description, tool.parameters))


@dataclass(frozen=True, slots=True)
class AnswerForm:
    """The language that an answer must be in.

    Attributes:
        source: JSON schema as JSON text, or a GBNF grammar whose first rule is `root`; empty for
            the other kinds.
        name: What the caller calls the schema.
    """

    kind: FormKind = "text"
    source: str = ""
    name: str = ""


TUNABLE = (
    "temperature", "top_p", "top_k", "min_p", "repeat_penalty",
    "presence_penalty", "frequency_penalty", "seed",
)  # fmt: skip
"""Fields of `Sampling` that a caller may leave open, by the names that every protocol has."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are drawn. `None` leaves the choice to the router or the model's default.

    Attributes:
        temperature: 0 is greedy.
        max_tokens: Upper bound on generated tokens; `None` is bounded by the context alone.
        stop: Strings that end the answer and are not part of it.
        given: Which of `TUNABLE` the caller chose; the others are EdgeRoute's own defaults, and
            a server elsewhere keeps its own instead.
    """

    temperature: float = 0.7
    top_p: float = 0.95
    top_k: int = 40
    min_p: float = 0.05
    repeat_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    seed: int | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    given: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Limits:
    """What the caller will not go beyond; every one is a filter, none is traded for score.

    `on_device` may also be a preference: then what runs here comes before what does not.
    """

    deadline_s: float | None = None
    max_usd: Usd | None = None
    max_j: Joules | None = None
    on_device: OnDevice = "any"


@dataclass(frozen=True, slots=True)
class Query:
    """What everything that can be asked for has in common.

    Attributes:
        model: `auto`, or a model id that must be used.
        label: How private its caller says it is; `None` where nothing is said, until the policy
            has decided.
        usual_label: What its app's requests count as that have no label.
        profile: Profile asked for by this request; `None` leaves the usual one.
        usual_profile: What its app's requests are decided by; `None` leaves the daemon's.
        app: Who asks; unknown callers are `default`.
        priority: Somebody waits for the answer, or nobody does.
        ignored: Names of unknown fields; they were dropped and are told to the caller.
    """

    id: RequestId
    model: str
    _: KW_ONLY
    limits: Limits = field(default_factory=Limits)
    label: Label | None = None
    usual_label: Label = UNLABELLED
    profile: str | None = None
    usual_profile: str | None = None
    app: str = "default"
    priority: Priority = "interactive"
    ignored: tuple[str, ...] = ()

    @property
    def pinned_model(self) -> str | None:
        """The model that was asked for by name, or `None` where the router may choose."""
        return None if self.model == AUTO else self.model

    @property
    def held_as(self) -> Label:
        """How private it is, as far as has been decided."""
        return self.usual_label if self.label is None else self.label


@dataclass(frozen=True, slots=True)
class Request(Query):
    """One question, independent of the protocol it came by.

    Attributes:
        messages: The conversation; empty where `prompt` is to be continued.
        prompt: A text to go on with as it is, without a chat template; `None` for a conversation.
        tools: Functions that the answer may call.
        form: Language that the answer must be in.
        choices: How many answers are wanted.
        logprobs: How many alternatives to tell with each token's log-probability; `None` tells
            nothing, 0 the token's alone.
    """

    messages: tuple[Message, ...]
    sampling: Sampling = field(default_factory=Sampling)
    _: KW_ONLY
    prompt: str | None = None
    tools: Toolbox = field(default_factory=Toolbox)
    form: AnswerForm = field(default_factory=AnswerForm)
    choices: int = 1
    logprobs: int | None = None
    session: str | None = None
    stream: bool = False
    overflow: Overflow = "refuse"

    @property
    def needs(self) -> frozenset[Capability]:
        """What a target must be able to do."""
        wanted = {
            Capability.CHAT: self.prompt is None,
            Capability.COMPLETE: self.prompt is not None,
            Capability.TOOLS: bool(self.tools.offered),
            Capability.JSON_SCHEMA: self.form.kind in {"json", "schema"},
            Capability.GRAMMAR: self.form.kind == "grammar",
            Capability.LOGPROBS: self.logprobs is not None,
            Capability.CHOICES: self.choices > 1,
        }
        return frozenset(need for need, is_wanted in wanted.items() if is_wanted)

    @property
    def is_one_text(self) -> bool:
        """Whether its answer is one text and nothing besides."""
        one = self.choices == 1 and self.logprobs is None and not self.tools.offered
        return one and self.prompt is None

    @property
    def prompt_texts(self) -> Iterator[str]:
        """Every text that the model reads."""
        if self.prompt is not None:
            yield self.prompt
        for message in self.messages:
            yield from message.texts
        yield from self.tools.texts

    @property
    def texts(self) -> Iterator[str]:
        """Every text in it that somebody wrote, whether or not the model reads it."""
        yield from self.prompt_texts
        yield from filter(None, (self.form.name, self.form.source, *self.sampling.stop))


@dataclass(frozen=True, slots=True)
class EmbeddingRequest(Query):
    """Texts that are to become vectors.

    Attributes:
        dimensions: Numbers of a vector that are wanted, its first ones; `None` is all.
    """

    inputs: tuple[str, ...]
    _: KW_ONLY
    dimensions: int | None = None

    @property
    def needs(self) -> frozenset[Capability]:
        """What a target must be able to do."""
        return frozenset({Capability.EMBED})

    @property
    def texts(self) -> Iterator[str]:
        """Every text in it that somebody wrote."""
        yield from self.inputs


AnyRequest = Request | EmbeddingRequest

_TELLING_PREFILL = 32
"""Tokens; a shorter prefill, as of a conversation that was in memory but for its last turn, tells
what a step takes and not how fast prompts are read."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens and seconds as counted by who answers, whose count decides.

    Attributes:
        cached_tokens: How many of the prompt's tokens were in memory already.
        prefill_s: From the first prompt token decoded to the first token drawn.
        decode_s: From the first token drawn to the last.
        estimated: Nobody counted; the tokens are an upper estimate.
    """

    prompt_tokens: int
    completion_tokens: int
    prefill_s: float = 0.0
    decode_s: float = 0.0
    cached_tokens: int = 0
    estimated: bool = False

    @property
    def prefill_tok_s(self) -> float | None:
        """Prompt tokens per second, of those that were not in memory; `None` where that is few."""
        read = self.prompt_tokens - self.cached_tokens
        return _rate(read, self.prefill_s) if read >= _TELLING_PREFILL else None

    @property
    def decode_tok_s(self) -> float | None:
        """Generated tokens per second after the first; `None` of fewer than two."""
        return _rate(self.completion_tokens - 1, self.decode_s)


def _rate(tokens: int, seconds: float) -> float | None:
    return tokens / seconds if tokens > 0 and seconds > 0 else None


@dataclass(frozen=True, slots=True)
class ToolCallPiece:
    """A piece of a call that a model is making.

    Attributes:
        index: Which call of the turn it belongs to, from 0.
        id: Of the call; with its first piece alone.
        name: Of the function; with the first piece alone.
        arguments: The next characters of the arguments' JSON text.
    """

    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """How probable a token was.

    Attributes:
        token: Its bytes, not always whole UTF-8 characters.
        logprob: Natural logarithm of its probability, before temperature and filters.
        top: The most probable tokens at its place, and theirs.
    """

    token: bytes
    logprob: float
    top: tuple[tuple[bytes, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of what was asked for.

    Every answer ends with a chunk that carries `finish`; the last chunk of all carries `usage`.

    Attributes:
        choice: Which of several answers it belongs to, from 0.
        logprobs: Of tokens whose text is here or in the chunks around it.
        embeddings: The next vectors, in the order of the inputs: float32, little endian.
        worked_s: Seconds that its engine has computed for the request since the chunk before, where
            it says so: its share of what was computed for many together.
    """

    text: str
    finish: FinishReason | None = None
    usage: Usage | None = None
    choice: int = 0
    tool_calls: tuple[ToolCallPiece, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()
    embeddings: tuple[bytes, ...] = ()
    worked_s: float = 0.0
