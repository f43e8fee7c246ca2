"""Puts together long news-like articles from authored sentences, `passages/newsroom.sentences`.

A section `[beat.part]` lists sentences, one a line, for one part of a story on one beat; the
sections of the beat `any` serve every beat. Slots such as `{town}` keep their value throughout an
article, so that it has the repetitions a real one has.
"""

import random
from functools import cache
from pathlib import Path

_SENTENCES = Path(__file__).parent.parent / "passages" / "newsroom.sentences"
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_DATELINES = ("", "", "{town} - ", "{town} ({agency}) - ", "{TOWN}, {agency} -- ", "({agency}) ")
_BYLINES = ("", "", "", "By {writer}\n\n", "{writer}, {day}\n\n", "Published: {day}, {n}:15\n\n")
_BREAKS = ("\n\n", "\n\n", "\n\n", " ", "\n")


@cache
def _sections() -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    section: list[str] = []
    for line in _SENTENCES.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            section = found.setdefault(line.strip("[]"), [])
        elif line.strip():
            section.append(line.strip())
    return {name: tuple(lines) for name, lines in found.items()}


@cache
def beats() -> tuple[str, ...]:
    """Every beat there are stories on, such as `business`."""
    names = {name.partition(".")[0] for name in _sections()}
    return tuple(sorted(names - {"any", "slot"}))


def _part(beat: str, part: str) -> tuple[str, ...]:
    return _sections().get(f"{beat}.{part}", ()) + _sections().get(f"any.{part}", ())


def _slots(rng: random.Random) -> dict[str, str]:
    def name() -> str:
        first, last = _sections()["slot.first"], _sections()["slot.last"]
        return f"{rng.choice(first)} {rng.choice(last)}"

    town, other = rng.sample(_sections()["slot.town"], 2)
    person, second, writer = name(), name(), name()
    firm = rng.choice(_sections()["slot.firm"])
    return {
        "town": town,
        "TOWN": town.upper(),
        "other": other,
        "person": person,
        "surname": person.rpartition(" ")[2],
        "second": second,
        "second_surname": second.rpartition(" ")[2],
        "writer": writer,
        "firm": firm,
        "agency": rng.choice(_sections()["slot.agency"]),
    }


def _figures(rng: random.Random) -> dict[str, str]:
    return {
        "day": rng.choice(_DAYS),
        "n": str(rng.randint(3, 19)),
        "m": str(rng.randint(21, 88)),
        "hundreds": str(rng.randint(2, 9) * 100 + rng.randint(0, 99)),
        "thousands": f"{rng.randint(2, 48)},{rng.randint(0, 9)}00",
        "millions": f"{rng.randint(2, 95)}.{rng.randint(1, 9)}m",
        "year": str(rng.randint(1968, 2021)),
        "age": str(rng.randint(19, 81)),
    }


def report(
    rng: random.Random, beat: str | None = None, words: int | None = None
) -> tuple[str, str]:
    """A headline and a report of about `words` words (150 to 600 where not given) on a beat."""
    beat = beat or rng.choice(beats())
    words = words or rng.randint(150, 600)
    slots = _slots(rng)
    sections = {part: list(_part(beat, part)) for part in ("body", "quote", "back", "end")}
    for lines in sections.values():
        rng.shuffle(lines)
    told = [rng.choice(_DATELINES) + rng.choice(_part(beat, "lead"))]
    order = ("body", "body", "quote", "back", "body", "quote", "body", "back")
    turn = 0
    while sum(len(line.split()) for line in told) < words and any(sections.values()):
        lines = sections[order[turn % len(order)]]
        turn += 1
        if lines:
            told.append(lines.pop())
        elif turn > len(order) * 12:
            break
    told.extend(sections["end"][:1])
    told[0] = rng.choice(_BYLINES) + told[0]
    told = [line.format(**slots, **_figures(rng)) for line in told]
    headline = rng.choice(_part(beat, "headline")).format(**slots, **_figures(rng))
    return headline, _paragraphs(rng, told)


def _paragraphs(rng: random.Random, told: list[str]) -> str:
    mark, size = rng.choice(_BREAKS), rng.randint(1, 4)
    parts = [" ".join(told[at : at + size]) for at in range(0, len(told), size)]
    return mark.join(parts)
