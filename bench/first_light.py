#!/usr/bin/env python3
"""Different questions go to different models: three real models, every shipped profile.

    python bench/fetch_models.py && python bench/first_light.py

Links the two bench models beside the starter, lets each answer twice so that its rates are
measured, then routes every question under every profile (dry run) and answers each one under
`balanced`.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from fetch_models import SOURCES, path_of
from places import folders

from edgeroute.client import Client

PROFILES = ("balanced", "battery-saver", "performance", "private", "offline")
QUESTIONS = (
    "Hi there, how was your day?",
    "Thanks a lot, that helped!",
    "What is 17 * 23? Answer with the number only.",
    "A train leaves at 14:35 and arrives at 17:10. How many minutes does it take?",
    "Write a Python function that reverses a linked list.",
    "Fix the bug: def add(a, b): return a - b",
    "Summarise in one sentence: The river rose for three days and took the old bridge with it; "
    "the ferry runs until the new one opens in May.",
    "Rewrite more politely: Send me the report now.",
    "Is this review positive or negative? 'The battery died after two days.'",
    "Extract the name and the city: Maria Lopez moved from Porto to Lisbon last spring.",
    "Which planet has the most moons?",
    "Translate to French: The meeting is at noon.",
)
SHORT = {"smollm2-135m-instruct": "135M", "qwen-0.5b": "0.5B", "qwen-1.5b": "1.5B"}


def edgeroute(env: dict[str, str], *arguments: str) -> None:
    command = [sys.executable, "-m", "edgeroute.cli.main", *arguments]
    subprocess.run(command, env=env, check=True, stdout=subprocess.DEVNULL)


def chat(question: str, **fields: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": question}], "temperature": 0, **fields}


def measure_rates(client: Client) -> None:
    """Two answers of each model, so that speed is measured and all are warm."""
    for model in SHORT:
        for _ in range(2):
            body = chat("Count from one to fifty in words.", model=model, max_tokens=48)
            client.post("/v1/chat/completions", body)


def main() -> None:
    missing = [name for name in SOURCES if not path_of(name).exists()]
    if missing:
        raise SystemExit(f"run bench/fetch_models.py first: {', '.join(missing)} missing")
    root = Path(tempfile.mkdtemp(prefix="er-"))
    env = folders(root)
    edgeroute(env, "serve", "--detach")
    try:
        for name, model in zip(SOURCES, ("qwen-0.5b", "qwen-1.5b"), strict=True):
            edgeroute(env, "models", "link", str(path_of(name)), "--id", model)
        with Client(root / "runtime" / "http.sock") as client:
            measure_rates(client)
            report(client)
    finally:
        edgeroute(env, "stop")
        shutil.rmtree(root)


def report(client: Client) -> None:
    status = client.get("/edgeroute/status")
    for model in status["models"]:
        rates = model["rates"]
        print(
            f"{SHORT[model['id']]}: {rates['decode_tok_s']:.0f} tok/s, "
            f"prefill {rates['prefill_tok_s']:.0f} tok/s, load {rates['load_s']:.2f} s"
        )
    print("\n| question | task | " + " | ".join(PROFILES) + " | balanced: took | answer |")
    print("|---" * (len(PROFILES) + 4) + "|")
    reasons = []
    for question in QUESTIONS:
        chosen = [
            SHORT[
                client.post("/edgeroute/route", chat(question, edgeroute={"profile": p}))["target"]
            ]
            for p in PROFILES
        ]
        body = chat(question, max_tokens=160, edgeroute={"explain": True})
        answer = client.post("/v1/chat/completions", body)
        told = answer["edgeroute"]
        text = " ".join(answer["choices"][0]["message"]["content"].split()).replace("|", "\\|")
        cells = [question, told["task"], *chosen, f"{told['total_s']:.1f} s", text[:70]]
        print("| " + " | ".join(cells) + " |")
        reasons.append(told["reason"])
    print("\nreasons under balanced:")
    print(*(f"- {reason}" for reason in reasons), sep="\n")


if __name__ == "__main__":
    main()
