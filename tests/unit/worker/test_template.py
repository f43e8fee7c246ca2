"""Chat templates: what Hugging Face promises them, and what a hostile one cannot do."""

import resource
import signal
import subprocess
import sys
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeroute.domain.errors import InvalidRequest
from edgeroute.domain.request import Message, Tool, ToolCall
from edgeroute.worker import template
from edgeroute.worker.conversation import functions_of, texts_in, turns_of, with_texts
from edgeroute.worker.template import ChatTemplate

CHATML = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + "
    "message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
ALTERNATING = """\
{%- for message in messages %}
    {%- if (message.role == 'user') != (loop.index0 % 2 == 0) %}
        {{- raise_exception('Conversation roles must alternate user/assistant/...') }}
    {%- endif %}
    {{- message.content | trim }}
{%- endfor %}
"""


def render(source: str | None, *messages: tuple[str, str]) -> str:
    turns = [{"role": role, "content": content} for role, content in messages or [("user", "hi")]]
    return ChatTemplate(source, bos="<s>", eos="</s>").render(turns)


def test_a_conversation_is_rendered_up_to_the_assistants_turn() -> None:
    assert render(CHATML, ("system", "Be kind."), ("user", "{{ 7 * 7 }}")) == (
        "<|im_start|>system\nBe kind.<|im_end|>\n"
        "<|im_start|>user\n{{ 7 * 7 }}<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ bos_token }}|{{ eos_token }}", "<s>|</s>"),
        ("{{ tools is none }} {{ documents is none }}", "True True"),
        ("{{ strftime_now('%Y') }}", f"{datetime.now():%Y}"),  # noqa: DTZ005
        ("{{ {'b': '<ä>', 'a': 1} | tojson }}", '{"b": "<ä>", "a": 1}'),
        ("{{ messages | tojson(indent=1) }}", '[\n {\n  "role": "user",\n  "content": "hi"\n }\n]'),
        ("{% for i in range(9) %}{% if i == 2 %}{% break %}{% endif %}{{ i }}{% endfor %}", "01"),
        ("{% generation %}a{% endgeneration %}b", "ab"),
        ("  {% if true %}\nx\n  {% endif %}\ny", "x\ny"),
        ("{{ 2 ** 10 * 3 }}{{ 'ab' * 2 }}{{ 2 ** 0.5 > 1 }}", "3072ababTrue"),
    ],
)
def test_templates_find_what_they_expect(source: str, text: str) -> None:
    assert render(source) == text


def test_a_file_without_a_template_gets_plain_lines() -> None:
    assert (
        render(None, ("system", "Short."), ("user", "Hi")) == "system: Short.\nuser: Hi\nassistant:"
    )


def test_a_developer_is_the_system_where_the_template_knows_no_other() -> None:
    assert "<|im_start|>system\nx" in render(CHATML, ("developer", "x"))
    knowing = (
        "{% for m in messages %}{{ m.role }}{% if m.role == 'developer' %}!{% endif %}{% endfor %}"
    )
    assert render(knowing, ("developer", "x")) == "developer!"


def test_a_refusal_is_told_in_the_templates_own_words() -> None:
    with pytest.raises(InvalidRequest, match="roles must alternate user/assistant"):
        render(ALTERNATING, ("user", "a"), ("user", "b"))
    assert render(ALTERNATING, ("user", " a "), ("assistant", "b")) == "ab"


def test_a_refusal_is_not_a_way_to_send_megabytes() -> None:
    with pytest.raises(InvalidRequest) as refusal:
        render("{{ raise_exception(messages[0].content) }}", ("user", "x" * 1_000_000))
    assert len(refusal.value.message) < 500


@pytest.mark.parametrize(
    "source",
    [
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{{ 'x' * 10 ** 10 }}",
        "{{ [0] * 10 ** 10 }}",
        "{{ 'x'.center(10 ** 10) }}",
        "{{ '%9999999999d' % 1 }}",
        "{{ 10 ** 10000000 }}",
        "{% set n = namespace(x=3) %}{% for i in range(99) %}{% set n.x = n.x * n.x %}{% endfor %}",
        "{% set n = namespace(x='ab') %}{% for i in range(99) %}{% set n.x=n.x~n.x %}{% endfor %}",
        "{{ 'x' * 9000000 }}",
        "{{ range(10 ** 9) | list }}",
        "{{ ''.__class__.__mro__[1].__subclasses__()[0] }}",
        "{{ cycler.__init__.__globals__ }}",
        "{{ messages.append(1) }}",
        "{{ no.such.thing }}",
        "{% include '/etc/passwd' %}",
        "{% nonsense %}",
        "{{ 1 / 0 }}",
    ],
)
def test_a_hostile_template_is_refused_and_leaves_no_limits(source: str) -> None:
    limit = resource.getrlimit(resource.RLIMIT_AS)
    with pytest.raises(InvalidRequest, match="template"):
        render(source)
    assert resource.getrlimit(resource.RLIMIT_AS) == limit
    for timer in (signal.ITIMER_PROF, signal.ITIMER_VIRTUAL):
        assert signal.getitimer(timer)[0] == 0


def test_a_long_conversation_is_not_a_hostile_template() -> None:
    content = "語" * 3_000_000
    assert content in render(CHATML, ("user", content))


def test_a_call_that_never_returns_ends_the_process() -> None:
    # `round` computes ten to the given power in one C call that hears no signal.
    program = (
        "from edgeroute.worker import template\n"
        f"template.CPU_S, template.KILL_S = {template.CPU_S / 10}, {template.KILL_S / 20}\n"
        "source = \"{{ 1 | round(900000000, 'ceil') }}\"\n"
        "template.ChatTemplate(source, bos='', eos='').render([{'role': 'user'}])\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True)
    assert ended.returncode == -signal.SIGVTALRM


CALLING = """\
{%- if tools %}<tools>{% for tool in tools %}{{ tool | tojson }}{% endfor %}</tools>{% endif %}
{%- for message in messages %}[{{ message.role }}{% if message.name %} {{ message.name }}{% endif %}
{%- if message.tool_call_id %} {{ message.tool_call_id }}{% endif %}] {{ message.content }}
{%- for call in message.tool_calls or [] %}<tool_call>{{ call.function.name }}
{{- call.function.arguments | tojson }}</tool_call>{% endfor %}
{%- endfor %}"""


def test_functions_calls_and_results_reach_the_template() -> None:
    called = ToolCall("c1", "weather", '{"city": "Oslo"}')
    messages = (
        Message("user", "weather?", name="mira"),
        Message("assistant", "", tool_calls=(called, ToolCall("c2", "time", "not json"))),
        Message("tool", "rain", tool_call_id="c1"),
    )
    tool = Tool("weather", "Tells <it>.", '{"type": "object"}')
    made = ChatTemplate(CALLING, bos="", eos="")
    text = made.render(turns_of(messages), functions_of([tool]))
    assert text == (
        '<tools>{"type": "function", "function": {"name": "weather", '
        '"description": "Tells <it>.", "parameters": {"type": "object"}}}</tools>'
        '[user mira] weather?[assistant] <tool_call>weather{"city": "Oslo"}</tool_call>'
        '<tool_call>time"not json"</tool_call>[tool c1] rain'
    )
    assert made.render(turns_of(messages[:1])) == "[user mira] weather?"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_every_text_of_plain_data_is_seen_and_changed(data: object) -> None:
    assert with_texts(data, lambda text: text) == data
    assert list(texts_in(with_texts(data, lambda text: f"{text}!"))) == [
        f"{text}!" for text in texts_in(data)
    ]
