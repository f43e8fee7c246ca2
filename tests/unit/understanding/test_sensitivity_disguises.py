from collections import defaultdict

import pytest

from edgeroute.domain.privacy import Label, Sensitivity
from edgeroute.domain.request import AUTO, Message, Request
from edgeroute.domain.units import RequestId
from edgeroute.understanding.sensitivity import scan, scan_request
from tests.unit.understanding.disguises import Case, clean_cases, sensitive_cases


def read(case: Case) -> Sensitivity:
    turns = tuple(Message("user", turn) for turn in case.turns)
    held = scan_request(Request(RequestId("r"), AUTO, turns))
    assert "UNSCANNABLE" not in held.types  # failing closed would look like finding
    return held


def test_disguises_are_seen_through() -> None:
    flagged = defaultdict(list)
    for case in sensitive_cases():
        flagged[case.kind].append(read(case).label > Label.PUBLIC)
    everything = [flag for flags in flagged.values() for flag in flags]
    assert len(everything) >= 300
    assert sum(everything) / len(everything) >= 0.97
    assert [kind for kind, flags in flagged.items() if sum(flags) < len(flags) / 2] == []


def test_innocent_twins_are_left_alone() -> None:
    flagged = [case.turns for case in clean_cases() if read(case).label > Label.PUBLIC]
    assert flagged == []


@pytest.mark.parametrize(
    ("text", "piece"),
    [
        ("write to m\u0456ra@p\u043esteo.de now", "m\u0456ra@p\u043esteo.de"),
        (
            "card \uff14\uff15\uff13\uff19 1488 0343 6467!",
            "\uff14\uff15\uff13\uff19 1488 0343 6467",
        ),
        ("card 45\u200b39148803436467 ok", "45\u200b39148803436467"),
        ("hers: 5 3 6 - 2 2 - 1 2 3 4 (SSN)", "5 3 6 - 2 2 - 1 2 3 4"),
        ("write to mira%40posteo.de now", "mira%40posteo.de"),
        ("see bXkgbWFpbCBpcyBtaXJhQHBvc3Rlby5kZQ== there", "bXkgbWFpbCBpcyBtaXJhQHBvc3Rlby5kZQ=="),
        ("\ufb01\ufb01 write to mira@posteo.de", "mira@posteo.de"),
    ],
)
def test_the_span_is_of_the_text_as_it_was_given(text: str, piece: str) -> None:
    (finding,) = scan(text)
    assert text[finding.start : finding.end] == piece
