"""Beginnings of conversations, which engines keep the keys and values of (their prefix caches)."""

from dataclasses import dataclass

from edgeroute.domain.units import ModelId

Mark = bytes
"""A keyed hash that tells nothing of the text, and is worth nothing without this process's key."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """A conversation up to and including one of its turns.

    Attributes:
        share: How much of the conversation's text that is, 0..1.
        answered: Its last turn is an assistant's.
    """

    mark: Mark
    share: float
    answered: bool


@dataclass(frozen=True, slots=True)
class Held:
    """What a target has in memory of a prompt.

    Attributes:
        tokens: From its beginning on, as they are expected; in the same upper estimate as the
            prompt's.
        is_begun: They have an answer in them: a conversation goes on. Else it begins as others did,
            with the same system prompt, say.
    """

    target: ModelId
    tokens: int
    is_begun: bool = True
