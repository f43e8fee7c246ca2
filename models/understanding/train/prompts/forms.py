"""Further hand-written prompts in forms that the modules by task have few of."""

import random
from collections.abc import Iterator

from train.prompts.prompt import Prompt
from train.prompts.sections import written


def write(_rng: random.Random) -> Iterator[Prompt]:
    """Yields prompts of several tasks; the generator is not drawn from."""
    yield from written("forms.txt")
