"""`ask`, `route` and `explain`: a question, its answer, and why."""

import argparse
import os
import shutil
import sys
from contextlib import ExitStack
from typing import Any

from edgeroute.cli.show import decision_lines, print_json
from edgeroute.client import Client
from edgeroute.config import Folders
from edgeroute.domain.errors import InvalidRequest


def ask(options: argparse.Namespace) -> int:
    """Stream an answer to stdout, then the decision to stderr; or all as one JSON object."""
    body = {**_body(options), "stream": True}
    body["edgeroute"]["explain"] = True
    pieces: list[str] = []
    account: dict[str, Any] = {}
    with Client(Folders.from_environment().http_socket) as client, ExitStack() as waiting:
        _show_waiting(waiting)
        for event in client.stream("/v1/chat/completions", body):
            waiting.close()
            account = event.get("edgeroute", account)
            for choice in event["choices"]:
                text = choice["delta"].get("content", "")
                pieces.append(text)
                if not options.json:
                    print(text, end="", flush=True)
    if options.json:
        print_json({**account, "text": "".join(pieces)})
        return 0
    print()
    print(*decision_lines(account), sep="\n", file=sys.stderr)
    _show_next_steps(account["id"])
    return 0


def route(options: argparse.Namespace) -> int:
    """Print the decision for a question without running it."""
    with Client(Folders.from_environment().http_socket) as client:
        account = client.post("/edgeroute/route", _body(options))
    if options.json:
        print_json(account)
    else:
        print(*decision_lines(account), sep="\n")
    return 0


def explain(options: argparse.Namespace) -> int:
    """Print a decision from the journal."""
    with Client(Folders.from_environment().http_socket) as client:
        account = client.get(f"/edgeroute/explain/{options.id}")
    if options.json:
        print_json(account)
    else:
        print(*decision_lines(account), sep="\n")
    return 0


def feedback(options: argparse.Namespace) -> int:
    """Say how good a past answer was."""
    body = {"id": options.id, "verdict": options.verdict, "score": options.score}
    with Client(Folders.from_environment().http_socket) as client:
        told = client.post("/edgeroute/feedback", body)
    if options.json:
        print_json(told)
    else:
        print(f"noted: {told['target']} was {options.verdict} ({told['score']:g})")
    return 0


def _body(options: argparse.Namespace) -> dict[str, Any]:
    prompt = _prompt(options.prompt)
    system = [{"role": "system", "content": options.system}] if options.system else []
    extension = {
        "profile": options.profile,
        "label": options.label,
        "deadline_s": options.deadline,
        "on_device": "only" if options.on_device else None,
    }
    sampling = {
        "max_tokens": options.max_tokens,
        "temperature": options.temperature,
        "seed": options.seed,
    }
    return {
        "model": options.model,
        "messages": [*system, {"role": "user", "content": prompt}],
        "edgeroute": {k: v for k, v in extension.items() if v is not None},
        **{k: v for k, v in sampling.items() if v is not None},
    }


def _show_next_steps(request: str) -> None:
    command = "edgeroute" if shutil.which("edgeroute") else sys.argv[0]
    steps = (
        (f"explain {request}", "every number behind this choice"),
        ("models link FILE.gguf", "add a model to choose from"),
        ("status", "who is warm, and what they hold"),
        ("stop", "end the daemon"),
    )
    lines = (f"  {command} {step:<25} {words}" for step, words in steps)
    print("", "next:", *lines, sep="\n", file=sys.stderr)


def _prompt(given: str) -> str:
    """The question, from the arguments or standard input.

    Raises:
        InvalidRequest: It is empty or not UTF-8.
    """
    raw = sys.stdin.buffer.read() if given == "-" else os.fsencode(given)
    try:
        prompt = raw.decode()
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"the question is not UTF-8: {error}", hint="convert it") from error
    if not prompt.strip():
        raise InvalidRequest("the question is empty", hint="pass some text, or '-' and pipe it in")
    return prompt


def _show_waiting(until: ExitStack) -> None:
    """A sign of life, where a person watches, until the stack is closed: a model may be loading."""
    if sys.stdout.isatty() and sys.stderr.isatty():
        from rich.console import Console  # noqa: PLC0415 - slow to import

        until.enter_context(Console(stderr=True).status("thinking"))
