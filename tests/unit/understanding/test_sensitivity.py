from typing import Any

import msgspec
import pytest

from edgeroute.domain.privacy import Label, Sensitivity
from edgeroute.domain.request import (
    AUTO,
    AnswerForm,
    EmbeddingRequest,
    Message,
    Request,
    Role,
    Sampling,
    Tool,
    Toolbox,
    ToolCall,
)
from edgeroute.domain.units import RequestId
from edgeroute.understanding.sensitivity import Strength, scan, scan_request, seams
from edgeroute.understanding.sensitivity.finding import Finding, demanded_label, without_overlaps

CARD = "card 4539148803436467"


def request(*turns: str, role: Role = "user") -> Request:
    return Request(RequestId("r"), AUTO, tuple(Message(role, turn) for turn in turns))


def found(text: str) -> list[tuple[str, str]]:
    return [(finding.type, text[finding.start : finding.end]) for finding in scan(text)]


@pytest.mark.parametrize(
    ("text", "kind", "piece"),
    [
        ("pay with 4539 1488 0343 6467 today", "CREDIT_CARD", "4539 1488 0343 6467"),
        ("amex 3782-822463-10005", "CREDIT_CARD", "3782-822463-10005"),
        ("to DE89 3704 0044 0532 0130 00 please", "IBAN_CODE", "DE89 3704 0044 0532 0130 00"),
        ("to gb82west12345698765432", "IBAN_CODE", "gb82west12345698765432"),
        ("hers is 536-22-1234.", "US_SSN", "536-22-1234"),
        ("write to <mira.holt@posteo.de>", "EMAIL_ADDRESS", "mira.holt@posteo.de"),
        ("host 10.2.33.41 is down", "IP_ADDRESS", "10.2.33.41"),
        ("at 2001:db8:85a3::8a2e:370:7334 now", "IP_ADDRESS", "2001:db8:85a3::8a2e:370:7334"),
        ("device 00:1a:2b:3c:4d:5e", "MAC_ADDRESS", "00:1a:2b:3c:4d:5e"),
        ("ring +44 20 7946 0958 after six", "PHONE_NUMBER", "+44 20 7946 0958"),
        ("my mobile: 0171 2345678", "PHONE_NUMBER", "0171 2345678"),
        ("(212) 736-5000 is theirs", "PHONE_NUMBER", "(212) 736-5000"),
        ("passport number is K1234567B", "PASSPORT", "K1234567B"),
        ("47-112290-K is my account number", "ACCOUNT", "47-112290-K"),
        ("patient MRN 8842019", "PATIENT_ID", "8842019"),
        ("NI number: QQ 12 34 56 C", "NATIONAL_ID", "QQ 12 34 56 C"),
        ("CPF 529.982.247-25", "TAX_ID", "529.982.247-25"),
        ("RSSMRA85T10A562S is his", "TAX_ID", "RSSMRA85T10A562S"),
        ("sort code 60-16-13, thanks", "ROUTING_NUMBER", "60-16-13"),
        ("born on 12 March 1984 in Kiel", "DATE_OF_BIRTH", "12 march 1984"),
        ("I live at 12 Oak Street.", "STREET_ADDRESS", "12 Oak Street"),
        ("wohnt in der Lindenallee 14", "STREET_ADDRESS", "Lindenallee 14"),
        ("My name is Mira Holt", "PERSON", "Mira Holt"),
    ],
)
def test_an_identifier_is_found_where_it_stands(text: str, kind: str, piece: str) -> None:
    assert (kind, piece.lower()) in [(type_, part.lower()) for type_, part in found(text)]


@pytest.mark.parametrize(
    ("text", "kind", "piece"),
    [
        ("my password is Tundra#412x ok?", "PASSWORD", "Tundra#412x"),
        ("password: sunflower", "PASSWORD", "sunflower"),
        ('db_password = "horse battery"; pwd="staple99"', "PASSWORD", "staple99"),
        ("logged in as mira / Tr0ub4dor&3", "PASSWORD", "Tr0ub4dor&3"),
        ("the PIN is 4821", "PASSWORD", "4821"),
        ('API_KEY="a81bc81b4c5e7d10"', "API_KEY", "a81bc81b4c5e7d10"),
        ("use AKIAIOSFODNN7EXAMPLE here", "API_KEY", "AKIAIOSFODNN7EXAMPLE"),
        (f"push with ghp_{'a1B2' * 9}", "API_KEY", f"ghp_{'a1B2' * 9}"),
        ("Authorization: Bearer 8f14e45fceea167a5a36", "API_KEY", "8f14e45fceea167a5a36"),
        ("mysql://app:Tr0ub4dor@db:3306/x", "CONNECTION_STRING", "app:Tr0ub4dor@"),
        (
            "-----BEGIN PRIVATE KEY-----\nMIIEvQ\n-----END PRIVATE KEY-----",
            "PRIVATE_KEY",
            "-----BEGIN PRIVATE KEY-----\nMIIEvQ\n",
        ),
        (
            "seed phrase: " + " ".join(["abandon"] * 11 + ["about"]),
            "SEED_PHRASE",
            " ".join(["abandon"] * 11 + ["about"]),
        ),
    ],
)
def test_a_secret_is_found_and_never_leaves(text: str, kind: str, piece: str) -> None:
    assert (kind, piece) in found(text)
    assert scan_request(request(text)).label is Label.SECRET


@pytest.mark.parametrize(
    "text",
    [
        "",
        "What is the capital of France?",
        "order 4539 1488 0343 6468 is late",
        "my password is wrong",
        "password = getpass.getpass()",
        "token: a unit of text that a model reads",
        "127.0.0.1 and 255.255.255.0 and version 10.2.33.41",
        "ratio 1.4142135623730951 and 2**64 = 18446744073709551616",
        "git@github.com:owner/name.git, logo@2x.png",
        "https://example.com:8080/path?page=3",
        "he paid $5,000 into the account in 2024",
        "Sophie has 12 apples and Mr. Baker has 30",
        "a man born on 14 March 1879",
    ],
)
def test_what_only_looks_like_it_stays_public(text: str) -> None:
    assert scan_request(request(text)).label is Label.PUBLIC


def test_a_name_counts_only_beside_something_of_the_person() -> None:
    name = Finding("PERSON", 0, 4, Strength.NAME)
    title = Finding("PERSON", 9, 14, Strength.NAME)
    birth = Finding("DATE_OF_BIRTH", 20, 30, Strength.ATTRIBUTE)
    street = Finding("STREET_ADDRESS", 40, 50, Strength.ATTRIBUTE)
    assert demanded_label([]) is Label.PUBLIC
    assert demanded_label([name, title]) is Label.PUBLIC
    assert demanded_label([birth]) is Label.PUBLIC
    assert demanded_label([name, birth]) is Label.PRIVATE
    assert demanded_label([birth, street]) is Label.PRIVATE


def test_of_two_that_overlap_the_stronger_is_kept() -> None:
    weak = Finding("PERSON", 0, 9, Strength.NAME)
    strong = Finding("PASSWORD", 4, 12, Strength.SECRET)
    after = Finding("PERSON", 12, 15, Strength.NAME)
    assert without_overlaps([after, weak, strong]) == (strong, after)


@pytest.mark.parametrize("role", ["system", "developer", "user", "assistant", "tool"])
def test_every_role_is_read(role: Role) -> None:
    held = scan_request(request("hello", "card 4539148803436467", role=role))
    assert held == Sensitivity(Label.PRIVATE, ("CREDIT_CARD",))


@pytest.mark.parametrize(
    "fields",
    [
        {"messages": (Message("user", "hi", name=CARD),)},
        {"messages": (Message("assistant", "", tool_calls=(ToolCall("c", "pay", CARD),)),)},
        {"messages": (Message("assistant", "", tool_calls=(ToolCall(CARD, "pay", "{}"),)),)},
        {"messages": (Message("tool", CARD, tool_call_id="c"),)},
        {"messages": (Message("tool", "", tool_call_id=CARD),)},
        {"tools": Toolbox((Tool(CARD),))},
        {"tools": Toolbox((Tool("pay", CARD),))},
        {"tools": Toolbox((Tool("pay", parameters=f'{{"const": "{CARD}"}}'),))},
        {"form": AnswerForm("schema", f'{{"const": "{CARD}"}}')},
        {"form": AnswerForm("json", name=CARD)},
        {"prompt": CARD},
        {"sampling": Sampling(stop=(CARD,))},
    ],
)
def test_every_field_that_carries_text_is_read(fields: dict[str, Any]) -> None:
    held = scan_request(Request(RequestId("r"), AUTO, **{"messages": (), **fields}))
    assert held == Sensitivity(Label.PRIVATE, ("CREDIT_CARD",))


def test_texts_that_are_to_become_vectors_are_read() -> None:
    held = scan_request(EmbeddingRequest(RequestId("r"), AUTO, ("hello", CARD)))
    assert held == Sensitivity(Label.PRIVATE, ("CREDIT_CARD",))


def test_evidence_adds_up_over_messages() -> None:
    held = scan_request(request("My name is Mira Holt", "dob: 1984-03-12"))
    assert held == Sensitivity(Label.PRIVATE, ("DATE_OF_BIRTH", "PERSON"))


def test_json_inside_json_is_read() -> None:
    inner = msgspec.json.encode({"to": "mira@posteo.de", "password": 'x"9Kf!2'}).decode()
    outer = msgspec.json.encode({"arguments": inner}).decode()
    held = scan_request(request(outer, role="tool"))
    assert held.label is Label.SECRET
    assert "EMAIL_ADDRESS" in held.types


def test_what_is_split_over_turns_is_joined() -> None:
    turns = ("my card begins 4539 1488", "0343 6467")
    assert all(scan_request(request(turn)).label is Label.PUBLIC for turn in turns)
    assert scan_request(request(*turns)) == Sensitivity(Label.PRIVATE, ("CREDIT_CARD",))
    first, last = request(*turns).messages
    talk = Request(RequestId("r"), AUTO, (first, Message("assistant", "Go on."), last))
    assert scan_request(talk) == Sensitivity(Label.PRIVATE, ("CREDIT_CARD",))


def test_numbers_of_different_turns_are_not_one_number() -> None:
    held = scan_request(request("what is 4539 plus 1488?", "and 343 times 6467?"))
    assert held == Sensitivity(Label.PUBLIC, ())


def test_too_long_a_request_is_private() -> None:
    half = "a" * (1 << 20)
    assert scan_request(request(half, half)).label is Label.PUBLIC
    held = scan_request(request(half, half, "a"))
    assert held == Sensitivity(Label.PRIVATE, ("UNSCANNABLE",))


def test_a_scan_that_fails_is_private(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: object) -> None:
        raise RecursionError

    monkeypatch.setattr(seams, "_ends", fails)
    held = scan_request(request("hello", "there"))
    assert held == Sensitivity(Label.PRIVATE, ("UNSCANNABLE",))
