"""How long prompts are counted to be, and answers expected."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeroute.domain.features import Task
from edgeroute.domain.request import AUTO, Message, Request, Tool, Toolbox, ToolCall
from edgeroute.domain.units import RequestId
from edgeroute.understanding.lengths import Length, answer_length, count_tokens, prompt_tokens
from tests.unit.understanding.authored import AUTHORED, MESSY

any_text = st.text(st.characters(), max_size=400)  # lone surrogates too
LEARNED = Length(100, 300)


def asking(*messages: Message) -> Request:
    return Request(RequestId("r"), AUTO, messages)


def usual(asked: str, task: Task = Task.KNOWLEDGE_QA) -> int:
    return answer_length(asked, task, LEARNED).usual


# ---- how long the answer -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "least", "most"),
    [
        ("Summarise in one sentence: the tram line is extended.", 20, 45),
        ("Explain gravity in 50 words", 60, 90),
        ("Describe Rome in three short paragraphs", 250, 400),
        ("Write a 500-word essay on bees", 600, 900),
        ("Give me 10 ideas for a birthday party", 200, 300),
        ("Is the sky green? Answer yes or no.", 1, 10),
        ("Fasse den Text in zwei Sätzen zusammen", 50, 90),
        ("Décris Paris en trois phrases", 80, 130),
    ],
)
def test_an_answer_is_as_long_as_it_was_asked_to_be(asked: str, least: int, most: int) -> None:
    assert least <= usual(asked) <= most


def test_brief_is_shorter_and_detailed_longer_than_plain() -> None:
    brief, plain, detailed = (
        usual(f"Explain {how} how tides work", Task.KNOWLEDGE_QA)
        for how in ("briefly", "to me", "in detail")
    )
    assert brief < plain < detailed


def test_things_counted_in_a_sum_are_not_the_length_of_its_answer() -> None:
    asked = "I read 3 pages a day. How many pages do I read in 14 days?"
    assert usual(asked, Task.MATH) == usual("17*23", Task.MATH)


def test_a_translation_is_as_long_as_its_text() -> None:
    text = "the cat sat on the mat and looked at the moon " * 50  # 550 tokens
    assert 350 <= usual(f"Translate to French: {text}", Task.TRANSLATE) <= 700
    assert usual(f"What is this text about? {text}", Task.KNOWLEDGE_QA) < 200
    assert usual(text * 1000, Task.TRANSLATE) == 4000


def test_an_absurd_length_is_not_believed() -> None:
    assert usual("Write 9999 pages", Task.CREATIVE) == 4000


# ---- how long the prompt -----------------------------------------------------------------------

SCRIPTS = (
    "今天天气怎么样?请把下面这段话翻译成英文,然后总结一下主要内容。",
    "東京の天気はどうですか。この文章を要約してください。",
    "오늘 날씨 어때요? 다음 글을 요약해 주세요.",
    "Привет! Переведи, пожалуйста, этот текст на английский язык.",
    "مرحبا كيف حالك اليوم؟ لخص هذا النص من فضلك",
    "สวัสดีครับ วันนี้อากาศเป็นอย่างไร",
    "नमस्ते, आज मौसम कैसा है?",
    "😀🎉🔥👩‍👩‍👧‍👦🇩🇪👍🏽",
    "Donaudampfschifffahrtsgesellschaftskapitän",
    "pneumonoultramicroscopicsilicovolcanoconiosis",
    "4f7d9c0a1be25583d1a0b6c7e8f90123456789abcdef4f7d9c0a1be25583d1a0b6c7e8f9",
    "aGVsbG8gd29ybGQsIHRoaXMgaXMgYSBsb25nIGJhc2U2NCBibG9iIG9mIHRleHQuLi4=",
    '{"k1": [0.8444218515250481, 757954, "abc def"], "k2": [0.420571580830845, 258916]}',
    "\t\tif (a[i]!=b[j]) { x+=y->z; }\n\n\n\n    return -1;\n",
    "https://example.org/a/b?q=%20x&y=1#frag",
)


class Vocabulary:
    """The starter model's tokenizer alone, as llama.cpp reads it from the file."""

    def __init__(self, path: Path) -> None:
        self._engine = pytest.importorskip("llama_cpp")
        params = self._engine.llama_model_default_params()
        params.vocab_only = True
        self._model = self._engine.llama_model_load_from_file(str(path).encode(), params)
        self._vocabulary = self._engine.llama_model_get_vocab(self._model)

    def count(self, text: str) -> int:
        data = text.encode()
        room = len(data) + 16
        tokens = (self._engine.llama_token * room)()
        special = False
        tokenize = self._engine.llama_tokenize
        return int(tokenize(self._vocabulary, data, len(data), tokens, room, special, special))


@pytest.fixture(scope="module")
def vocabulary(starter: Path) -> Vocabulary:
    return Vocabulary(starter)


def test_the_estimate_is_an_upper_one_and_not_an_absurd_one(vocabulary: Vocabulary) -> None:
    prose = [prompt for _, prompt in (*AUTHORED, *MESSY)]
    for text in (*prose, *SCRIPTS, *(text * 9 for text in SCRIPTS), Path(__file__).read_text()):
        assert count_tokens(text) >= vocabulary.count(text), text
    long = " ".join(prose)
    assert count_tokens(long) <= 2.2 * vocabulary.count(long)


def test_a_conversation_counts_all_its_messages_and_their_template() -> None:
    one = prompt_tokens(asking(Message("user", "hello")))
    two = prompt_tokens(asking(Message("user", "hello"), Message("assistant", "hello")))
    assert one > count_tokens("hello")
    assert two - one > count_tokens("hello")


def test_functions_and_their_calls_count(vocabulary: Vocabulary) -> None:
    hello = Message("user", "hello")
    schema = '{"type": "object", "properties": {"city": {"type": "string"}}}'
    toolbox = Toolbox((Tool("weather", "Tells the weather of a city.", schema),))
    told = prompt_tokens(replace(asking(hello), tools=toolbox)) - prompt_tokens(asking(hello))
    assert told > 110 + vocabulary.count(schema)  # what Qwen2.5's template says besides
    called = Message("assistant", "", tool_calls=(ToolCall("c1", "weather", '{"city": "Oslo"}'),))
    assert prompt_tokens(asking(hello, called)) > prompt_tokens(asking(hello, hello))


@given(any_text)
def test_no_text_has_more_tokens_than_bytes(text: str) -> None:
    size = len(text.encode("utf-8", "surrogatepass"))
    assert 4 <= count_tokens(text) <= size + 4
