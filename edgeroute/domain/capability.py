"""What a target can be asked for, beyond where it runs and how good it is.

A request has needs, a target has capabilities; what is lacking is a filter, never a matter of
preference.
"""

from enum import StrEnum


class Capability(StrEnum):
    """One thing that some targets can do and others cannot."""

    CHAT = "chat"
    """Answers a conversation."""
    COMPLETE = "complete"
    """Continues a text as it is, without a chat template."""
    EMBED = "embed"
    """Turns texts into vectors."""
    TOOLS = "tools"
    """Is told of functions and calls them."""
    JSON_SCHEMA = "json_schema"
    """Answers in JSON, of a given schema or just any."""
    GRAMMAR = "grammar"
    """Answers in the language of a GBNF grammar."""
    LOGPROBS = "logprobs"
    """Tells the log-probabilities of its tokens."""
    CHOICES = "choices"
    """Gives several answers to one question."""

    @property
    def words(self) -> str:
        """What a target does that has it, after `cannot`."""
        return _WORDS[self]


_WORDS = {
    Capability.CHAT: "answer a conversation",
    Capability.COMPLETE: "continue a bare text",
    Capability.EMBED: "embed texts",
    Capability.TOOLS: "call tools",
    Capability.JSON_SCHEMA: "hold its answer to a JSON schema",
    Capability.GRAMMAR: "hold its answer to a grammar",
    Capability.LOGPROBS: "tell log-probabilities",
    Capability.CHOICES: "give several answers at once",
}
