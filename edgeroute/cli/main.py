"""Arguments of the `edgeroute` command, and its exit codes.

0 is done, 1 is a failure, 2 is something that the caller would have to change, 130 is Ctrl-C.
Commands are imported only when they are called, so that each starts quickly.
"""

import argparse
import importlib
import math
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from edgeroute import __version__
from edgeroute.domain.errors import EdgeRouteError

LABELS = ("public", "internal", "private", "secret")
_FAILED, _CALLER_IS_WRONG, _INTERRUPTED = 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is returned."""
    options = _parser().parse_args(arguments)
    module, function = options.run
    run: Callable[[argparse.Namespace], int] = getattr(
        importlib.import_module(f"edgeroute.cli.{module}"), function
    )
    try:
        return run(options)
    except EdgeRouteError as error:
        print(f"edgeroute: {error.message}", file=sys.stderr)
        if error.hint:
            print(f"           {error.hint}", file=sys.stderr)
        return _CALLER_IS_WRONG if error.caller_is_wrong else _FAILED
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:  # the reader of our output has gone, e.g. `| head`
        sys.stderr.close()
        return _FAILED
    except OSError as error:
        print(f"edgeroute: {error}", file=sys.stderr)
        return _FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="edgeroute",
        description="One local daemon in front of every model that this machine can reach.",
    )
    parser.add_argument("--version", action="version", version=f"edgeroute {__version__}")
    verbs = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_service(verbs)
    _add_questions(verbs)
    _add_policy(verbs)
    _add_machine(verbs)
    _add_apps(verbs)
    _add_peers(verbs)
    _add_benches(verbs)
    _add_evaluations(verbs)
    completions = _verb(
        verbs, "completions", ("main", "completions"), "Print a completion script for a shell."
    )
    completions.add_argument("shell", choices=["bash", "zsh", "tcsh"])
    return parser


def completions(options: argparse.Namespace) -> int:
    """Print what a shell needs to complete our commands."""
    import shtab  # noqa: PLC0415 - needed only here

    print(shtab.complete(_parser(), options.shell))
    return 0


if TYPE_CHECKING:  # argparse has no public name for what `add_subparsers` returns
    Verbs = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001


def _verb(verbs: "Verbs", name: str, run: tuple[str, str], words: str) -> argparse.ArgumentParser:
    parser = verbs.add_parser(name, help=words, description=words)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)
    return parser


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise argparse.ArgumentTypeError(f"{text} is not a finite number")
    return number


_SECONDS_OF = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


def _duration(text: str) -> float:
    number, unit = text[:-1], text[-1:]
    seconds = _finite(number) * _SECONDS_OF[unit] if unit in _SECONDS_OF else 0.0
    if seconds <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time; write for example 7d or 12h")
    return seconds


def _add_since(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--since", type=_duration, default="7d", metavar="TIME", help="how far back: 7d, 12h, 30m"
    )


def _add_service(verbs: "Verbs") -> None:
    serve = _verb(verbs, "serve", ("service", "serve"), "Run the daemon.")
    serve.add_argument(
        "--detach", action="store_true", help="run in the background; returns once it is ready"
    )
    serve.add_argument(
        "--install-service",
        action="store_true",
        help="start with the first request from now on: systemd or launchd, for this user",
    )
    serve.add_argument(
        "--tcp",
        metavar="HOST:PORT",
        help="listen there too, for programs with a token that cannot speak Unix sockets; a PORT "
        "alone is this machine's loopback",
    )
    serve.add_argument(
        "--beyond-loopback",
        action="store_true",
        help="let --tcp be an address that other machines reach, unencrypted",
    )
    serve.add_argument("--ready-fd", type=int, help=argparse.SUPPRESS)
    _verb(
        verbs,
        "reload",
        ("service", "reload"),
        "Have the daemon read models, profile, apps and tasks again.",
    )
    _verb(verbs, "stop", ("service", "stop"), "Let running answers finish, then stop the daemon.")


def _add_questions(verbs: "Verbs") -> None:
    ask = _verb(verbs, "ask", ("questions", "ask"), "Ask a question and stream the answer.")
    route = _verb(verbs, "route", ("questions", "route"), "Say who would answer, and why.")
    for parser in (ask, route):
        parser.add_argument("prompt", help="the question; '-' reads it from standard input")
        parser.add_argument("--model", default="auto", help="auto, auto:PROFILE, or a model's id")
        parser.add_argument("--system", help="a system prompt")
        parser.add_argument("--profile", help="profile for this question")
        parser.add_argument("--label", choices=LABELS)
        parser.add_argument("--max-tokens", type=int, help="longest answer, in tokens")
        parser.add_argument(
            "--temperature", type=_finite, help="0 always takes the likeliest token"
        )
        parser.add_argument("--seed", type=int, help="makes sampling repeatable")
        parser.add_argument("--deadline", type=_finite, metavar="SECONDS")
        parser.add_argument("--on-device", action="store_true", help="never leave this machine")
    explain = _verb(verbs, "explain", ("questions", "explain"), "Explain a past decision.")
    feedback = _verb(verbs, "feedback", ("questions", "feedback"), "Say how good an answer was.")
    feedback.add_argument("id", help="the id that `ask` printed, or of an API answer")
    feedback.add_argument("verdict", choices=["good", "bad"])
    feedback.add_argument("--score", type=_finite, help="0 useless to 1 fully acceptable")
    explain.add_argument("id", help="the id that `ask` printed, or of an API answer")


def _add_peers(verbs: "Verbs") -> None:
    _verb(verbs, "peers", ("peers", "peers"), "Show the paired machines and what they offer.")
    pair = _verb(
        verbs, "pair", ("peers", "pair"), "Show a code, or type the one that another machine shows."
    )
    pair.add_argument(
        "where",
        nargs="?",
        metavar="ADDRESS",
        help="the machine that shows a code: its address, or auto to look for it",
    )
    pair.add_argument("--code", help="the code; asked for where it is left out")
    pair.add_argument(
        "--max-label",
        choices=["public", "internal", "private"],
        default="private",
        help="the most private requests that the other machine may see (private)",
    )
    unpair = _verb(verbs, "unpair", ("peers", "unpair"), "Trust a paired machine no more.")
    unpair.add_argument("name", help="its name, or the beginning of its fingerprint")


def _add_apps(verbs: "Verbs") -> None:
    apps = _verb(verbs, "apps", ("apps", "show"), "List apps; give and take their tokens.")
    actions = apps.add_subparsers(metavar="ACTION")
    add = _verb(actions, "add", ("apps", "add"), "Give a program a token, shown this once.")
    add.add_argument("--label", choices=LABELS, help="of its requests that have none")
    add.add_argument("--profile", help="of its requests that name none")
    add.add_argument("--priority", choices=["interactive", "background"])
    rotate = _verb(actions, "rotate", ("apps", "rotate"), "Give another token for the old one.")
    remove = _verb(actions, "remove", ("apps", "remove"), "Take an app's token away.")
    for parser in (add, rotate, remove):
        parser.add_argument("name", help="the app's")
    _verb(actions, "list", ("apps", "show"), "List all apps.")


def _add_policy(verbs: "Verbs") -> None:
    policy = verbs.add_parser("policy", help="Who may see what: test a text, show the rules.")
    actions = policy.add_subparsers(required=True, metavar="ACTION")
    test = _verb(
        actions, "test", ("policy", "test"), "Say where a text could go, and which line decides."
    )
    test.add_argument("text", help="the text; '-' reads it from standard input")
    test.add_argument("--app", default="default", help="as if this app had sent it")
    test.add_argument("--label", choices=LABELS)
    test.add_argument("--on-device", choices=["only", "prefer", "any"], default="any")
    _verb(actions, "explain", ("policy", "explain"), "Show the policy on one screen.")
    audit = verbs.add_parser("audit", help="What has left this device.")
    actions = audit.add_subparsers(required=True, metavar="ACTION")
    show = _verb(actions, "list", ("audit", "show"), "List the latest that left this device.")
    show.add_argument("--last", type=int, default=20, metavar="N", help="so many; 20 by default")
    _verb(actions, "verify", ("audit", "verify"), "Check that no record was changed or is missing.")
    _verb(actions, "export", ("audit", "export"), "Print every record as a line of JSON.")


def _add_machine(verbs: "Verbs") -> None:
    status = _verb(
        verbs, "status", ("watching", "status"), "Show the daemon: who is warm, memory, power."
    )
    status.add_argument(
        "--energy",
        action="store_const",
        dest="run",
        const=("past", "energy"),
        help="joules by app, model and target, and under each profile",
    )
    _add_since(status)
    _verb(verbs, "profile", ("profiles", "profile"), "List profiles, and say which is in force.")
    _verb(verbs, "top", ("watching", "top"), "The same, live; q leaves.")
    pull = _verb(verbs, "pull", ("library", "pull"), "Bring a model here and make it known.")
    pull.add_argument(
        "source",
        help="hf:OWNER/REPO/FILE.gguf, peer:NAME/MODEL, the id of a shipped model, or a file",
    )
    pull.add_argument("--id", help="the name to use (a-z 0-9 . _ -)")
    models = _verb(verbs, "models", ("machine", "models"), "List models; link, scan, tune.")
    models.set_defaults(path=None, id=None, model=None)
    actions = models.add_subparsers(metavar="ACTION")
    link = _verb(actions, "link", ("library", "link"), "Make a GGUF file on this machine known.")
    link.add_argument("path", help="the file; it stays where it is")
    link.add_argument("--id", help="the name to use (a-z 0-9 . _ -)")
    unlink = _verb(actions, "unlink", ("library", "unlink"), "Forget a linked file, not delete it.")
    unlink.add_argument("model", help="its id")
    pin = _verb(actions, "pin", ("library", "pin"), "Load a model and never let it go.")
    unpin = _verb(actions, "unpin", ("library", "unpin"), "Let a pinned model go like any other.")
    for parser in (pin, unpin):
        parser.add_argument("model", help="its id")
    _verb(
        actions,
        "scan",
        ("library", "scan"),
        "Link what Ollama, LM Studio, llama.cpp and hub downloads hold on this machine.",
    )
    tune = _verb(actions, "tune", ("tune", "tune"), "Find the format this machine runs best.")
    tune.add_argument("model", help="its id; the model itself stays as it is")
    tune.add_argument("--formats", metavar="LIST", help="e.g. q8_0,q4_0; all with fast kernels")
    tune.add_argument(
        "--max-loss",
        type=_finite,
        metavar="PERCENT",
        help="keep the fastest format whose perplexity is worse by no more than this",
    )
    tune.add_argument("--yes", action="store_true", help="keep what is faster at no loss")
    calibrate = _verb(
        verbs, "calibrate", ("calibrate", "calibrate"), "Find the best thread count per model."
    )
    calibrate.add_argument("models", nargs="*", metavar="MODEL", help="ids; all by default")
    calibrate.add_argument("--force", action="store_true", help="even on a busy machine")
    doctor = _verb(verbs, "doctor", ("machine", "doctor"), "Say what this machine has.")
    doctor.add_argument("--root", help="read this folder as the root of a machine")


def _add_benches(verbs: "Verbs") -> None:
    parser = verbs.add_parser("bench", help="Measure what runs on this machine.")
    kinds = parser.add_subparsers(required=True, metavar="WHAT")
    models = _verb(
        kinds,
        "models",
        ("probing", "bench_models"),
        "How good each model is: a hundred short questions with answers that a program checks.",
    )
    models.add_argument("models", nargs="*", metavar="MODEL", help="ids; all by default")


def _add_evaluations(verbs: "Verbs") -> None:
    parser = verbs.add_parser("eval", help="Evaluate parts of EdgeRoute on labelled files.")
    kinds = parser.add_subparsers(required=True, metavar="WHAT")
    tasks = _verb(kinds, "tasks", ("evaluate", "tasks"), "How well tasks are recognised.")
    sensitivity = _verb(
        kinds, "sensitivity", ("evaluate", "sensitivity"), "How well secrets are found."
    )
    rows = {tasks: "{id, text, task?, source?}", sensitivity: "{id, text, spans?, sensitive?}"}
    for kind, form in rows.items():
        kind.add_argument("file", help=f"JSON Lines: {form}")
        kind.add_argument("--out", metavar="FILE", help="write one prediction per row")
    residency = _verb(
        kinds, "residency", ("evaluate", "residency"), "How long requests wait for their models."
    )
    residency.add_argument(
        "trace", help="JSON Lines: {t_s, model, session?, prompt_tokens, output_tokens}"
    )
    residency.add_argument(
        "--cards",
        required=True,
        metavar="FILE",
        help="JSON: by model {weights_bytes, kv_bytes_per_token, load_s, prefill_tok_s, "
        "decode_tok_s}",
    )
    residency.add_argument("--budget", required=True, metavar="BYTES", help="for example 12GiB")
    residency.add_argument(
        "--counted-from",
        type=_finite,
        default=0.0,
        metavar="SECONDS",
        help="replay earlier requests, but leave them out of the waits",
    )
    replay = _verb(
        kinds, "replay", ("past", "replayed"), "Whether past decisions come out the same again."
    )
    _add_since(replay)
    replay.add_argument(
        "--profile",
        action="append",
        default=[],
        metavar="NAME",
        help="what they would have come to under this one; may be given several times",
    )
    routers = _verb(kinds, "routers", ("evaluate", "routers"), "Whether routing beats one model.")
    routers.add_argument(
        "folder", help="queries.jsonl {id, text} and scores.csv id,MODEL,...; cost_usd.csv if any"
    )
    routers.add_argument(
        "--labels", type=int, metavar="N", help="labelled queries; by default 4 of 5, in turn"
    )
    routers.add_argument("--splits", type=int, default=20, metavar="K", help="random splits")
    routers.add_argument("--out", metavar="FILE", help="write the report as one JSON object")


if __name__ == "__main__":
    sys.exit(main())
