"""The languages that calls are held to, family by family, over a real vocabulary."""

import json
from pathlib import Path

import llama_cpp.llama_cpp as llama
import pytest

from edgeroute.domain.request import Sampling, Tool, Toolbox
from edgeroute.domain.tool_markup import ToolMarkup
from edgeroute.wire.frames import Generate
from edgeroute.worker.grammar import Grammars
from edgeroute.worker.llama_log import LlamaLog
from edgeroute.worker.tool_calls import ToolCallParser
from edgeroute.worker.vocabulary import Vocabulary

CITY = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
WEATHER, TIME = Tool("weather", parameters=json.dumps(CITY)), Tool("time")
OSLO = '{"city": "Oslo"}'
TWO = {
    ToolMarkup.HERMES: (
        f'<tool_call>\n{{"name": "weather", "arguments": {OSLO}}}\n</tool_call>',
        '\n<tool_call>\n{"name": "time", "arguments": {}}\n</tool_call>',
    ),
    ToolMarkup.MISTRAL: (
        f'[TOOL_CALLS][{{"name": "weather", "arguments": {OSLO}}}',
        ', {"name": "time", "arguments": {}}]',
    ),
    ToolMarkup.MISTRAL_ARGS: (f"[TOOL_CALLS]weather[ARGS]{OSLO}", "[TOOL_CALLS]time[ARGS]{}"),
    ToolMarkup.LLAMA: (f'{{"name": "weather", "parameters": {OSLO}}}', ""),
}
"""Two calls, the second as it follows the first; Llama makes but one."""


@pytest.fixture(scope="module")
def vocabulary(starter: Path) -> Vocabulary:
    LlamaLog().listen()
    llama.llama_backend_init()
    params = llama.llama_model_default_params()
    params.vocab_only = True
    return Vocabulary(llama.llama_model_load_from_file(str(starter).encode(), params))


def follows(vocabulary: Vocabulary, markup: ToolMarkup, tools: Toolbox, text: str) -> bool:
    """Whether the text is an answer, all of it."""
    grammar = Grammars(vocabulary.pointer, markup).of(Generate(1, (), Sampling(), tools=tools))
    assert grammar is not None
    for token in vocabulary.tokenise(text, first=False, markup=False):
        if grammar.over or not grammar.allows(token):
            return False
        assert token in grammar.allowed()
        grammar.take(token)
    return any(vocabulary.token(int(token)).last for token in grammar.allowed())


@pytest.mark.parametrize("markup", ToolMarkup)
def test_a_demanded_call_is_written_as_its_parser_reads_it(
    vocabulary: Vocabulary, markup: ToolMarkup
) -> None:
    first, second = TWO[markup]
    several = Toolbox((WEATHER, TIME), "required")
    both = first + second
    assert follows(vocabulary, markup, several, both)
    parser = ToolCallParser(markup, {"weather", "time"}, lambda: "c")
    calls = [*parser.feed(both).calls, *parser.flush().calls]
    assert [call.name for call in calls] == (["weather", "time"] if second else ["weather"])
    for wrong in ("Hello!", both.replace("city", "town"), both.replace("weather", "rm")):
        assert not follows(vocabulary, markup, several, wrong)


@pytest.mark.parametrize("markup", [m for m in ToolMarkup if TWO[m][1]])
def test_one_call_alone_where_it_is_so_wanted(vocabulary: Vocabulary, markup: ToolMarkup) -> None:
    first, second = TWO[markup]
    one = first + "]" if markup is ToolMarkup.MISTRAL else first
    single = Toolbox((WEATHER, TIME), "required", parallel=False)
    named = Toolbox((WEATHER, TIME), "required", only="weather")
    for tools in (single, named):
        assert follows(vocabulary, markup, tools, one)
        assert not follows(vocabulary, markup, tools, first + second)
    other = Toolbox((WEATHER, TIME), "required", only="time")
    assert not follows(vocabulary, markup, other, one)
