"""What every test may use."""

import asyncio
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from edgeroute.catalog import Catalog
from edgeroute.config import Folders

# pytest-asyncio asks for the current loop before it makes its own; without this the policy would
# make one that nobody closes, and its ResourceWarning would land on whatever test runs then.
asyncio.set_event_loop(None)

# A busy machine says nothing about the code: no test is failed for being slow.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

STARTER = "smollm2-135m-instruct"


def starter_path() -> Path:
    """The real starter model's file, which setup installs."""
    nowhere = Path("/nonexistent")
    catalog = Catalog.load(Folders(nowhere, nowhere, nowhere, nowhere))
    return Path(next(card.path for card in catalog.cards if card.id == STARTER))


def bench_model(file: str) -> Path:
    """A model file of the benches; the test is skipped where nobody has fetched or made it."""
    cache = Path.home() / ".cache" / "edgeroute" / "bench-models"
    path = Path(os.environ.get("EDGEROUTE_BENCH_MODELS") or cache) / file
    if not path.exists():
        pytest.skip(f"NOT CHECKED: {path} is not there (bench/fetch_models.py, minilm_gguf.py)")
    return path


@pytest.fixture(scope="session")
def starter() -> Path:
    """The real starter model's file."""
    return starter_path()
