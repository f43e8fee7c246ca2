"""The gate: all that leaves is read, held to the policy and written down before it goes."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from edgeroute.domain.errors import AuditUnavailable, LabelExceeded, PolicyRefused
from edgeroute.domain.load import EchoBehaviour
from edgeroute.domain.policy import Policy, Rule
from edgeroute.domain.privacy import Label, Sensitivity, Zone
from edgeroute.domain.request import AUTO, Limits, Message, Request
from edgeroute.domain.target import Target
from edgeroute.domain.units import RequestId
from edgeroute.ports import ApprovedPayload, Scanner
from edgeroute.runtime.egress import Composed, Egress, Gatekeepers
from edgeroute.understanding.sensitivity import scan_texts
from tests.fakes import FakeAudit, FakeProvider
from tests.runtime.conftest import build_line, card, probed
from tests.runtime.test_elsewhere import CLOUD, outcome_of, public

pytestmark = pytest.mark.looptime

PRIVATE = replace(CLOUD, max_label=Label.PRIVATE)
HERE = replace(CLOUD, zone=Zone.DEVICE, max_label=Label.SECRET)
CARD = "4111 1111 1111 1111"
ASKED = Request(RequestId("r"), AUTO, (Message("user", "Hi"),), label=Label.PUBLIC)
HELLO = {"text": "hello"}


class Gate:
    """A gate whose policy the test sets, and what it wrote down."""

    def __init__(self, scan: Scanner = scan_texts, policy: Policy | None = None) -> None:
        self.audit = FakeAudit()
        self.policy = policy or Policy()
        keepers = Gatekeepers(scan, self.audit, lambda: self.policy, lambda: 7.0)
        self.egress = Egress(keepers)

    async def approve(
        self, target: Target, request: Request, payload: Mapping[str, object]
    ) -> ApprovedPayload:
        return await self.egress.approve(target, request, Composed.of(payload))


@pytest.mark.parametrize(
    "payload",
    [
        {"messages": [{"content": CARD}]},
        {CARD: 1},
        {"a": [[{"b": CARD}]]},
        {"arguments": f'{{"card": "{CARD}"}}'},
        {"arguments": '["\\u0034111 1111 1111 1111"]'},
        {"arguments": '{"card": 4111111111111111}'},
        {"card": 4111111111111111},
        {"stop": ["x", CARD]},
        {"name": CARD, "padding": "The river rose. " * 4000},
    ],
    ids=["value", "key", "deep", "JSON", "escaped", "JSON number", "number", "list", "long"],
)
async def test_every_forwarded_field_is_read(payload: dict[str, object]) -> None:
    gate = Gate()
    with pytest.raises(LabelExceeded, match="may see up to public and what would be sent is pri"):
        await gate.approve(CLOUD, ASKED, payload)
    assert gate.audit.written == []
    approved = await gate.approve(PRIVATE, ASKED, payload)
    assert (approved.label, approved.target) == (Label.PRIVATE, PRIVATE.id)
    assert CARD not in repr(approved)
    ((departure, body),) = gate.audit.written
    assert body == approved.body
    assert (departure.findings, departure.size) == (("CREDIT_CARD",), len(body))
    assert "1111" not in repr(departure)


async def test_the_label_of_the_request_holds_whatever_is_found() -> None:
    gate = Gate()
    for label in (Label.INTERNAL, Label.PRIVATE, Label.SECRET):
        with pytest.raises(LabelExceeded):
            await gate.approve(CLOUD, replace(ASKED, label=label), HELLO)
    generous = replace(CLOUD, max_label=Label.SECRET)
    with pytest.raises(LabelExceeded):  # whatever a target is said to be allowed to see
        await gate.approve(generous, replace(ASKED, label=Label.SECRET), HELLO)
    with pytest.raises(LabelExceeded):  # nobody has decided how private it is
        await gate.approve(CLOUD, replace(ASKED, label=None), HELLO)
    assert gate.audit.written == []
    approved = await gate.approve(HERE, replace(ASKED, label=Label.SECRET), HELLO)
    assert approved.body == b'{"text":"hello"}'
    assert gate.audit.written == []  # it does not leave


async def test_what_a_crashed_detector_has_not_read_counts_as_private() -> None:
    def broken(texts: Sequence[str]) -> Sensitivity:
        raise RuntimeError(f"a detector crashed on {len(texts)} texts")

    gate = Gate(broken)
    with pytest.raises(LabelExceeded, match="is private"):
        await gate.approve(CLOUD, ASKED, HELLO)
    await gate.approve(PRIVATE, ASKED, HELLO)
    assert gate.audit.written[0][0].findings == ("UNSCANNABLE",)
    assert scan_texts(["x" * (3 << 20)]).label is Label.PRIVATE


@pytest.mark.parametrize(
    "policy",
    [
        Policy(ceilings={"box": Label.PUBLIC}),
        Policy(ceilings={"box/big": Label.INTERNAL}),
        Policy(rules=(Rule("l", never=frozenset({"cloud"})),)),
        Policy(rules=(Rule("l", apps=frozenset({"default"}), only=frozenset({"device"})),)),
    ],
    ids=["ceiling", "ceiling of one", "never", "only"],
)
async def test_a_policy_that_is_replaced_holds_at_once(policy: Policy) -> None:
    gate = Gate()
    asked = replace(ASKED, label=Label.PRIVATE)
    await gate.approve(PRIVATE, asked, HELLO)
    gate.policy = policy
    with pytest.raises(PolicyRefused):
        await gate.approve(PRIVATE, asked, HELLO)
    assert len(gate.audit.written) == 1


async def test_a_policy_that_is_replaced_while_it_is_written_down_still_holds() -> None:
    gate = Gate()

    class Slow(FakeAudit):
        async def write(self, departure: object, body: bytes) -> None:
            await asyncio.sleep(1.0)

    gate.egress = Egress(Gatekeepers(scan_texts, Slow(), lambda: gate.policy, lambda: 7.0))
    approving = asyncio.create_task(gate.approve(CLOUD, ASKED, HELLO))
    await asyncio.sleep(0.5)
    gate.policy = Policy(rules=(Rule("config.toml line 4", never=frozenset({"box"})),))
    with pytest.raises(PolicyRefused, match="line 4"):
        await approving


async def test_what_must_stay_here_stays_here_though_a_target_is_asked() -> None:
    asked = replace(ASKED, limits=Limits(on_device="only"))
    with pytest.raises(PolicyRefused, match="must stay on this device"):
        await Gate().approve(CLOUD, asked, HELLO)
    await Gate().approve(HERE, asked, HELLO)


async def test_a_ceiling_is_never_raised_by_a_new_policy_for_what_was_begun() -> None:
    gate = Gate(policy=Policy(ceilings={"box": Label.PRIVATE}))
    with pytest.raises(LabelExceeded):
        await gate.approve(CLOUD, replace(ASKED, label=Label.PRIVATE), HELLO)


async def test_without_a_record_nothing_leaves_and_this_device_answers() -> None:
    sink, audit = FakeProvider(CLOUD), FakeAudit()
    own = card("own", EchoBehaviour(), 0.5)
    async with probed(build_line(own, providers=[sink], audit=audit)) as line:
        assert (await outcome_of(line, public("two plus two")))[1] == "box/big"
        ((departure, body),) = audit.written
        assert (departure.target, departure.zone, departure.app) == ("box/big", "cloud", "default")
        assert (departure.label, departure.ceiling, departure.at) == ("public", "public", 1e9)
        assert body == sink.sent[0].body
        audit.fails = AuditUnavailable("disk full")
        assert (await outcome_of(line, public("two plus two")))[1] == "own"
        assert len(sink.sent) == 1
        codes = [attempt.error for attempt in line.observer.outcomes[-1].attempts]
        assert codes == ["audit_unavailable", None]
        audit.fails = None  # and it is no reason to leave the target alone
        assert (await outcome_of(line, public("two plus two")))[1] == "box/big"
