"""`python -m deploy.local run|stop|status|logs|env|load|keys|buckets`: what the Makefile's verbs call."""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from deploy.local import logs, run, status
from deploy.local.environment import client_environment
from deploy.local.failure import StackError
from deploy.local.load import load
from deploy.local.stack import Stack
from deploy.local.tools import PROJECT


def _run(options: argparse.Namespace) -> int:
    stack = Stack.of_run(options.root, os.environ, say=run.say)
    return run.run(stack, data=options.data, empty=options.empty, detach=options.detach)


def _stop(options: argparse.Namespace) -> int:
    stack = Stack.of_run(options.root, os.environ, say=run.say)
    was_running = stack.is_running
    seconds = stack.stop()
    print(f"Stopped after {seconds:.1f} s." if was_running else "Nothing was running.")
    return 0


def _status(options: argparse.Namespace) -> int:
    return status.show(Stack.of_run(options.root, os.environ))


def _logs(options: argparse.Namespace) -> int:
    with suppress(KeyboardInterrupt):  # the only way in which following ends
        logs.follow(options.root / "logs", options.process)
    return 0


def _env(options: argparse.Namespace) -> int:
    stack = Stack.of_run(options.root, os.environ)
    variables = client_environment(stack.ports, stack.secrets, stack.external, stack.keys())
    for name, value in variables.items():
        print(f"export {name}={shlex.quote(value)}")
    return 0


def _load(options: argparse.Namespace) -> int:
    stack = Stack.of_run(options.root, os.environ, say=run.say)
    if not stack.is_running:
        raise StackError("nothing is running; start it with `make run`")
    load(stack, options.data)
    return 0


def _engine(options: argparse.Namespace) -> int:
    """Run a command of the engine with the addresses and secrets of the stack's processes."""
    stack = Stack.of_run(options.root, os.environ)
    if not stack.is_running:
        raise StackError("nothing is running; start it with `make run`")
    words = [sys.executable, "-m", "services.engine", options.engine, *options.words]
    return subprocess.run(words, cwd=PROJECT, env=dict(stack.environment), check=False).returncode


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="deploy.local", description=__doc__)
    parser.add_argument("--root", type=Path, default=PROJECT / ".local", help="where data, logs and keys are")
    commands = parser.add_subparsers(required=True)

    def command(name: str, does: Callable[[argparse.Namespace], int], about: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=about)
        added.set_defaults(does=does)
        return added

    starting = command("run", _run, "start everything, and load a shop when there is none")
    starting.add_argument("--data", type=Path, help="a file or folder of a shop's own data")
    starting.add_argument("--empty", action="store_true", help="load no shop")
    starting.add_argument("--detach", action="store_true", help="return once everything is ready")
    command("stop", _stop, "end everything")
    command("status", _status, "show each process")
    following = command("logs", _logs, "follow the logs")
    following.add_argument("process", nargs="?", help="only of this process")
    command("env", _env, "print what a client needs")
    loading = command("load", _load, "load a shop into the running stack")
    loading.add_argument("--data", type=Path, help="a file or folder; the generated shop without")
    for name, about in (
        ("keys", "make, list, rotate and revoke keys"),
        ("buckets", "allow tenants places of the object store"),
    ):
        managing = command(name, _engine, about)
        managing.set_defaults(engine=name)
        managing.add_argument(
            "words", nargs=argparse.REMAINDER, help=f"as `python -m services.engine {name}` has them"
        )
    return parser


def main() -> int:
    """Do what was asked; what a person can put right is one line and exit code 1."""
    os.umask(0o077)  # everything below the root is for its owner alone
    options = _arguments().parse_args()
    try:
        return int(options.does(options))
    except StackError as error:
        print(f"endcap: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    raise SystemExit(main())
