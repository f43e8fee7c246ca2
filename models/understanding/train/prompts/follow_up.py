"""Second turns that make sense only after the message before them."""

import random
from collections.abc import Iterator
from dataclasses import replace

from train.prompts.prompt import Prompt
from train.prompts.sections import typed_fast, written

LEADS = (
    "ok ", "thanks, ", "great! ", "hmm, ", "Good. ", "cool, ", "no wait, ", "Perfect, ",
    "alright, ", "Fine, ", "one more thing: ", "and ", "ah ok. ", "Nice. ", "yes but ",
)  # fmt: skip


def write(rng: random.Random) -> Iterator[Prompt]:
    """Yields prompts with `context` and their own tasks; the same for the same state of `rng`."""
    for prompt in written("follow_up.txt"):
        yield prompt
        lead = rng.choice(LEADS)
        if not prompt.text.lower().startswith(("and", "no,", "yes", "now")):
            yield replace(prompt, text=lead + prompt.text)
        else:
            yield replace(prompt, text=prompt.text[0].upper() + prompt.text[1:].rstrip("?.") + ".")
        if rng.random() < 0.3:
            yield replace(prompt, context=typed_fast(rng, prompt.context))
