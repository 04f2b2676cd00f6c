"""`python -m deploy.local run|stop|status|logs|env|load|keys|buckets`: the commands behind the Makefile."""

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
from deploy.local.errors import StackError
from deploy.local.load import load
from deploy.local.stack import Stack
from deploy.local.tools import PROJECT


def _run(options: argparse.Namespace) -> int:
    stack = Stack.for_make_run(options.root, os.environ, report=run.say, ui=not options.no_ui)
    return run.run(stack, data=options.data, empty=options.empty, detach=options.detach)


def _stop(options: argparse.Namespace) -> int:
    stack = Stack.for_make_run(options.root, os.environ, report=run.say)
    was_running = stack.is_running
    seconds = stack.stop()
    print(f"Stopped after {seconds:.1f} s." if was_running else "The stack was not running.")
    return 0


def _status(options: argparse.Namespace) -> int:
    return status.show(Stack.for_make_run(options.root, os.environ))


def _logs(options: argparse.Namespace) -> int:
    with suppress(KeyboardInterrupt):  # following ends with Ctrl-C only
        logs.follow(options.root / "logs", options.process)
    return 0


def _env(options: argparse.Namespace) -> int:
    stack = Stack.for_make_run(options.root, os.environ)
    variables = stack.client_environment()
    for name, value in variables.items():
        print(f"export {name}={shlex.quote(value)}")
    return 0


def _load(options: argparse.Namespace) -> int:
    stack = Stack.for_make_run(options.root, os.environ, report=run.say)
    if not stack.is_running:
        raise StackError("the stack is not running; start it with `make run`")
    load(stack, options.data)
    return 0


def _engine(options: argparse.Namespace) -> int:
    """Run a command of the engine with the environment of the stack's processes."""
    stack = Stack.for_make_run(options.root, os.environ)
    if not stack.is_running:
        raise StackError("the stack is not running; start it with `make run`")
    words = [sys.executable, "-m", "services.engine", options.engine, *options.words]
    return subprocess.run(words, cwd=PROJECT, env=dict(stack.environment), check=False).returncode


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="deploy.local", description=__doc__)
    parser.add_argument("--root", type=Path, default=PROJECT / ".local", help="folder of data, logs and keys")
    commands = parser.add_subparsers(required=True)

    def command(
        name: str, function: Callable[[argparse.Namespace], int], about: str
    ) -> argparse.ArgumentParser:
        subparser = commands.add_parser(name, help=about)
        subparser.set_defaults(function=function)
        return subparser

    run_parser = command("run", _run, "start everything, and load the sample shop if there is no data")
    run_parser.add_argument("--data", type=Path, help="file or folder with the data of a shop")
    run_parser.add_argument("--empty", action="store_true", help="do not load a shop")
    run_parser.add_argument("--no-ui", action="store_true", help="leave out the dashboard and the demo shop")
    run_parser.add_argument("--detach", action="store_true", help="return once everything is ready")
    command("stop", _stop, "stop everything")
    command("status", _status, "show the processes")
    command("logs", _logs, "follow the logs").add_argument("process", nargs="?", help="name of one process")
    command("env", _env, "print the environment variables of a client")
    load_parser = command("load", _load, "load a shop into the running stack")
    load_parser.add_argument("--data", type=Path, help="file or folder; default: the sample shop")
    _add_engine_command(command("keys", _engine, "create, list, rotate and revoke keys"), "keys")
    _add_engine_command(command("buckets", _engine, "allow tenants access to buckets"), "buckets")
    return parser


def _add_engine_command(parser: argparse.ArgumentParser, name: str) -> None:
    parser.set_defaults(engine=name)
    about = f"arguments of `python -m services.engine {name}`"
    parser.add_argument("words", nargs=argparse.REMAINDER, help=about)


def main() -> int:
    """Run a command and return the exit code; a StackError is printed as one line, and returns 1."""
    os.umask(0o077)  # only the owner may read the files below the root
    options = _arguments().parse_args()
    try:
        return int(options.function(options))
    except StackError as error:
        print(f"endcap: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    raise SystemExit(main())
