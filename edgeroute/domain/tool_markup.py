"""How models write a call of a function, told from their chat templates.

Owns the families and the marks that they write. Templates are programs: what a model was taught
shows in the marks that its template prints around calls of earlier turns.
"""

from enum import StrEnum


class ToolMarkup(StrEnum):
    """A family of templates."""

    HERMES = "hermes"
    """`<tool_call>{"name": ..., "arguments": {...}}</tool_call>`, one after the other: Hermes,
    Qwen2.5, Qwen3."""
    LLAMA = "llama"
    """`{"name": ..., "parameters": {...}}` as the whole answer, perhaps after `<|python_tag|>`."""
    MISTRAL = "mistral"
    """`[TOOL_CALLS][{"name": ..., "arguments": {...}}, ...]`."""
    MISTRAL_ARGS = "mistral_args"
    """`[TOOL_CALLS]name[ARGS]{...}`, one after the other: Mistral since the middle of 2025."""

    @property
    def marks(self) -> tuple[str, ...]:
        """What is written before calls, and may be a control token; the first begins them."""
        return _MARKS[self]


_MARKS = {
    ToolMarkup.HERMES: ("<tool_call>", "</tool_call>"),
    ToolMarkup.LLAMA: ("<|python_tag|>",),
    ToolMarkup.MISTRAL: ("[TOOL_CALLS]",),
    ToolMarkup.MISTRAL_ARGS: ("[TOOL_CALLS]", "[ARGS]"),
}


def tool_markup(template: str | None) -> ToolMarkup | None:
    """The family of a chat template; `None` where it knows no functions, or none of these ways."""
    if template is None or "tools" not in template:
        return None
    if "[TOOL_CALLS]" in template:
        return ToolMarkup.MISTRAL_ARGS if "[ARGS]" in template else ToolMarkup.MISTRAL
    if "<tool_call>" in template and "<function=" not in template and "<arg_key>" not in template:
        return ToolMarkup.HERMES
    if "<|python_tag|>" in template or '"parameters": dictionary' in template:
        return ToolMarkup.LLAMA
    return None
