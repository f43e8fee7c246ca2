"""Logic-grid puzzles: people in a row with properties, clues that hold, and a question.

A puzzle is drawn as a solution first; every clue is true of it. A clue set need not have one
solution only: what is taught is what such puzzles look like.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from train.prompts.math_words import WORDS
from train.prompts.prompt import Prompt
from train.prompts.reasoning_forms import with_options

# What is listed, how its owner is called (two ways), and the values.
CATEGORIES: tuple[tuple[str, tuple[str, str], tuple[str, ...]], ...] = (
    ("profession", ("the {}", "the person who works as a {}"),
     ("carpenter", "judge", "pilot", "baker", "dentist", "florist", "tailor", "programmer")),
    ("drink", ("the one who drinks {}", "the {} drinker"),
     ("tea", "cocoa", "cider", "milk", "lemonade", "espresso", "ginger beer", "tap water")),
    ("pet", ("the owner of the {}", "whoever keeps the {}"),
     ("parrot", "tortoise", "whippet", "goldfish", "hamster", "snake", "donkey", "ferret")),
    ("colour", ("the person with the {} door", "the resident behind the {} door"),
     ("crimson", "violet", "yellow", "teal", "white", "orange", "brown", "silver")),
    ("hobby", ("the person who enjoys {}", "the {} enthusiast"),
     ("archery", "knitting", "chess", "pottery", "climbing", "birdwatching", "origami", "rowing")),
    ("instrument", ("the {} player", "the one who practises the {}"),
     ("cello", "oboe", "banjo", "harp", "trumpet", "accordion", "viola", "tuba")),
    ("dish", ("the person whose favourite dish is {}", "the lover of {}"),
     ("lasagne", "curry", "goulash", "paella", "sushi", "pierogi", "couscous", "falafel")),
    ("vehicle", ("the one who drives the {}", "the {} owner"),
     ("van", "moped", "pickup", "cabriolet", "tricycle", "camper", "estate car", "jeep")),
    ("home town", ("the person from {}", "the one who grew up in {}"),
     ("Bergen", "Porto", "Lublin", "Cork", "Graz", "Turku", "Bari", "Ghent")),
    ("flower", ("the one with {} in the window", "the grower of {}"),
     ("tulips", "asters", "lilies", "dahlias", "orchids", "poppies", "irises", "violets")),
    ("lucky number", ("the person whose lucky number is {}", "the one who bets on {}"),
     ("7", "11", "13", "21", "34", "42", "55", "99")),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Scene:
    """How positions are spoken of; `{}` is a number from 1, `{n}` how many there are."""

    opening: str
    place: str
    before: tuple[str, ...]
    next_to: tuple[str, ...]


SCENES: tuple[Scene, ...] = (
    Scene("{n} neighbours live in {n} houses in a row; house 1 is the first on the left.",
          "house {}",
          ("{a} lives somewhere to the left of {b}.", "{b}'s house is further right than {a}'s."),
          ("{a} and {b} live in adjacent houses.", "{a} lives next door to {b}.")),
    Scene("A building has {n} floors, counted from the bottom, with one tenant on each.",
          "floor {}",
          ("{a} lives below {b}.", "{b} has to climb more stairs than {a}."),
          ("There is no floor between {a} and {b}.", "{a} and {b} live on consecutive floors.")),
    Scene("{n} friends queue for cinema tickets, number 1 being at the head of the queue.",
          "place {}",
          ("{a} will be served before {b}.", "{b} stands somewhere behind {a}."),
          ("{a} and {b} stand right beside one another.", "Nobody is between {a} and {b}.")),
    Scene("At a village race there were {n} finishers and no ties.",
          "position {}",
          ("{a} finished ahead of {b}.", "{b} was slower than {a}."),
          ("{a} and {b} came in one directly after the other.",)),
    Scene("{n} guests sit on one side of a long table, on seats 1 to {n} from left to right.",
          "seat {}",
          ("{a} is seated to the left of {b}.", "{b} sits somewhere right of {a}."),
          ("{a} sits beside {b}.", "{a} and {b} are table neighbours.")),
    Scene("In a hostel, {n} travellers check in on {n} days in a row, one on each day.",
          "day {}",
          ("{a} arrived earlier than {b}.", "When {b} came, {a} was already there."),
          ("{a} and {b} arrived on consecutive days.",)),
    Scene("A marina has {n} berths side by side, each with one boat owner.",
          "berth {}",
          ("{a}'s berth has a lower number than {b}'s.",),
          ("{a} and {b} have neighbouring berths.", "{a} is moored right next to {b}.")),
)  # fmt: skip

INTROS: tuple[str, ...] = (
    "", "", "Solve this logic puzzle.", "Can you crack this one? I've been at it all evening.",
    "Here is a zebra puzzle.", "### Puzzle", "The following is a logic-grid puzzle.",
    "You are given clues. Deduce the arrangement.", "puzzle from the sunday paper:",
    "Read the facts, then answer the question at the end.", "Example input:",
    "Use deduction only; every clue is true.",
)  # fmt: skip
CLUE_HEADS: tuple[str, ...] = (
    "Clues:", "## Clues", "The following is known:", "", "We know that", "Hints", "Facts:",
    "CLUES", "Given the following statements:",
)  # fmt: skip
CLOSINGS: tuple[str, ...] = (
    "", "", "Explain step by step.", "Answer with the name only.", "Give the reasoning in short.",
    "Respond as JSON with the keys reasoning and solution.", "Answer:", "Thanks!",
    "Is the answer unique?", "Do not guess.",
)  # fmt: skip

Row = Sequence[str]  # what a category gives each position, or what its owners are called


def grids(rng: Random, count: int) -> Iterator[Prompt]:
    """Yields `count` puzzles of three to six people with two to five properties each."""
    for number in range(count):
        size = rng.choice((3, 3, 4, 4, 5, 5, 6))
        scene = SCENES[number % len(SCENES)]
        yield Prompt(
            _puzzle(scene, size, rng),
            "reasoning",
            f"reasoning.grid.{scene.place.split()[0]}",
            topics=(),
            needs_tools=False,
            needs_fresh=False,
            output_tokens=150 * size,
            difficulty=3 if size < 5 else 4,
        )


def _puzzle(scene: Scene, size: int, rng: Random) -> str:
    names = rng.sample(WORDS["name"], size)
    chosen = rng.sample(CATEGORIES, rng.randint(2, min(5, size)))
    rows = {category: rng.sample(values, size) for category, _, values in chosen}
    calls = [[rng.choice(forms).format(v) for v in rows[c]] for c, forms, _ in chosen]
    clues = _clues(scene, [names, *calls], rng)
    parts = [
        rng.choice(INTROS),
        scene.opening.replace("{n}", str(size)) + " " + _listing(names, rows, rng),
        rng.choice(CLUE_HEADS),
        _shown(clues, rng),
        _question(scene, names, rows, rng),
        rng.choice(CLOSINGS),
    ]
    return rng.choice(("\n", "\n\n")).join(part for part in parts if part)


def _listing(names: Row, rows: dict[str, list[str]], rng: Random) -> str:
    people = ", ".join(sorted(names))
    kinds = [f"{category}: {', '.join(sorted(values))}" for category, values in rows.items()]
    return rng.choice(
        (
            f"Their names are {people}. Each has one of these.\n" + "\n".join(kinds),
            f"They are {people}. Everybody has a different " + ", a different ".join(rows) + ".",
            f"The names: {people}.\n" + "\n".join(f" - Each has a unique {kind}" for kind in kinds),
            f"({people}.) No two have the same " + " or ".join(rows) + f". {'; '.join(kinds)}.",
        )
    )


def _clues(scene: Scene, calls: list[Row], rng: Random) -> list[str]:
    """Twice as many true clues as there are positions, each about people called two ways."""
    size = len(calls[0])
    kinds = (_same, _same, _differs, _orders, _orders, _neighbours, _sits, _either)
    found: dict[str, None] = {}
    while len(found) < size * len(calls) * 2 // 3 + 1:
        a, b = rng.sample(range(len(calls)), 2)
        i, j = rng.sample(range(size), 2)
        clue = rng.choice(kinds)(scene, (calls[a], calls[b]), (min(i, j), max(i, j)), rng)
        found[clue[0].upper() + clue[1:]] = None
    return list(found)


Pair = tuple[Row, Row]
Places = tuple[int, int]


def _same(_: Scene, rows: Pair, places: Places, rng: Random) -> str:
    a, b = rows[0][places[0]], rows[1][places[0]]
    forms = (f"{a} is {b}.", f"{a} and {b} are one and the same.", f"{b} is none other than {a}.")
    return rng.choice(forms)


def _differs(_: Scene, rows: Pair, places: Places, rng: Random) -> str:
    a, b = rows[0][places[0]], rows[1][places[1]]
    return rng.choice((f"{a} is not {b}.", f"{a} isn't {b}.", f"{a} and {b} are two people."))


def _orders(scene: Scene, rows: Pair, places: Places, rng: Random) -> str:
    return rng.choice(scene.before).format(a=rows[0][places[0]], b=rows[1][places[1]])


def _neighbours(scene: Scene, rows: Pair, places: Places, rng: Random) -> str:
    if places[1] - places[0] == 1:
        return rng.choice(scene.next_to).format(a=rows[0][places[0]], b=rows[1][places[1]])
    between = places[1] - places[0] - 1
    people = "is one person" if between == 1 else f"are {between} people"
    return f"there {people} between {rows[0][places[0]]} and {rows[1][places[1]]}."


def _sits(scene: Scene, rows: Pair, places: Places, rng: Random) -> str:
    here, there = (scene.place.format(place + 1) for place in places)
    a = rows[0][places[0]]
    return rng.choice((f"{a} has {here}.", f"{a} is not at {there}.", f"{here} belongs to {a}."))


def _either(_: Scene, rows: Pair, places: Places, rng: Random) -> str:
    a, b = rows[0][places[0]], rows[1][places[0]]
    first, second = rng.sample((b, rows[1][places[1]]), 2)
    return f"{a} is either {first} or {second}."


def _shown(clues: list[str], rng: Random) -> str:
    return rng.choice(
        (
            "\n".join(f"{number}. {clue}" for number, clue in enumerate(clues, 1)),
            "\n".join(f"- {clue}" for clue in clues),
            " ".join(clues),
            "\n".join(f"({number}) {clue}" for number, clue in enumerate(clues, 1)),
            "\n".join(clues),
        )
    )


def _question(scene: Scene, names: Row, rows: dict[str, list[str]], rng: Random) -> str:
    category, values = rng.choice(list(rows.items()))
    at = rng.randrange(len(names))
    places = [scene.place.format(number) for number in range(1, len(names) + 1)]
    asked = (
        (f"Which {category} belongs to {names[at]}?", values),
        (f"Whose {category} is {values[at]}?", names),
        (f"What is the {category} of the one at {places[at]}?", values),
        (f"At which place is {names[at]}?", places),
    )
    question, options = rng.choice(asked)
    columns = ", ".join(["name", *rows])
    whole = (
        f"Fill in a table with the columns {columns} for every {scene.place.split()[0]}.",
        f"Who has which {category}?",
        "Who is where? Give the complete solution.",
    )
    forms = (question, *with_options(question, options, 1, rng), rng.choice(whole))
    return rng.choice(forms)
