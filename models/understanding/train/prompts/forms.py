"""Further prompts in forms that the modules by task have few of."""

import random
from collections.abc import Iterator

from train.prompts import passages
from train.prompts.prompt import Prompt
from train.prompts.sections import written

BLANKS = (" ", "\n", "\t", "\u200b", "\ufeff", "\u00a0", "\x00", "\u2003")
LONGEST_BLANK = 8
LANGUAGES = (
    "French", "German", "Spanish", "Italian", "Portuguese", "Dutch", "Polish", "Swedish",
    "Japanese", "Chinese", "Korean", "Arabic", "Russian", "Turkish", "Hindi", "Greek",
)  # fmt: skip
TRANSLATIONS = (
    "Translate to {l}: {t}",
    "{t}\n\nTranslate the text above into {l}.",
    "Please put the following article into {l}.\n\n{t}",
    "{t}\n\n---\nI need this in {l}, please",
    "Into {l}:\n{t}",
    'Give me a {l} version of this.\n\n"{t}"',
)
EACH_TRANSLATION = 12
"""Long texts under an order to translate them: their length must not give the task away."""


def write(rng: random.Random) -> Iterator[Prompt]:
    """Yields prompts of several tasks."""
    yield from written("forms.txt")
    for blank in BLANKS:
        for count in range(1, LONGEST_BLANK):
            yield Prompt(blank * count, "unknown", "forms.blank")
    for form in TRANSLATIONS:
        for _ in range(EACH_TRANSLATION):
            text = passages.long(rng).text
            prompt = form.format(l=rng.choice(LANGUAGES), t=text)
            words = len(text.split())
            yield Prompt(prompt, "translate", "forms.long_translation", output_tokens=2 * words)
