"""supervisord as the process supervisor of a stack: its configuration, its start and its XML-RPC.

It runs in a session of its own: Ctrl-C reaches `make run` alone, and `make stop` finds it if `make run` was
killed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local.errors import StackError
from deploy.local.parent import end_with_parent
from deploy.local.rpc import call, socket_path
from deploy.local.secrets import write_private

_LAUNCH_SECONDS = 60


@dataclass(frozen=True)
class Program:
    """A program of the stack; it is restarted whenever it ends without being stopped."""

    name: str
    command: Sequence[str]
    group: str
    stop_seconds: int
    stop_signal: str = "TERM"
    environment: Mapping[str, str] = field(default_factory=dict)

    def section(self, logs: Path, folder: Path) -> str:
        """Return its section in the configuration of supervisord."""
        command = " ".join(_quoted(word) for word in self.command)
        variables = ",".join(f'{name}="{value}"' for name, value in self.environment.items())
        return f"""
[program:{self.name}]
command={command}
directory={_escaped(str(folder))}
environment={variables}
umask=077
autostart=false
autorestart=true
startsecs=1
startretries=1000
stopsignal={self.stop_signal}
stopwaitsecs={self.stop_seconds}
killasgroup=true
redirect_stderr=true
stdout_logfile={_escaped(str(logs / f"{self.name}.log"))}
stdout_logfile_maxbytes=20MB
stdout_logfile_backups=2
"""


@dataclass(frozen=True)
class Process:
    """The process of a program in supervisord; `state` is RUNNING, STARTING, BACKOFF or STOPPED."""

    name: str
    group: str
    state: str
    pid: int
    started: float
    description: str


class Supervisor:
    """The supervisord of one stack root."""

    def __init__(self, root: Path) -> None:
        self._run = root / "run"
        self._logs = root / "logs"
        self._pid_file = self._run / "supervisord.pid"
        self._socket = socket_path(self._run)
        self._daemon: subprocess.Popen[bytes] | None = None

    def launch(
        self,
        programs: Sequence[Program],
        *,
        folder: Path,
        environment: Mapping[str, str],
        ends_with_caller: bool,
    ) -> None:
        """Start supervisord without any program, and wait until it answers. Raises StackError."""
        self._reap()
        config = self._run / "supervisord.conf"
        write_private(config, self._config(programs, folder))
        log = self._logs / "supervisord.log"
        log.touch(mode=0o600)
        with log.open("ab") as output:
            daemon = subprocess.Popen(
                [sys.executable, "-m", "supervisor.supervisord", "-n", "-c", str(config)],
                cwd=folder,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                umask=0o077,
                preexec_fn=end_with_parent() if ends_with_caller else None,  # noqa: PLW1509 - one thread
            )
        self._daemon = daemon
        deadline = time.monotonic() + _LAUNCH_SECONDS
        while not self.is_running():
            if daemon.poll() is not None or time.monotonic() > deadline:
                raise StackError(f"the process supervisor did not start; see {log}")
            time.sleep(0.05)

    def is_running(self) -> bool:
        """Return whether supervisord listens on its socket, even if it is too busy to answer."""
        try:
            return bool(call(self._socket, "supervisor.getPID"))
        except TimeoutError:
            return True
        except OSError:
            return False

    def pid(self) -> int:
        """Return the process id of supervisord."""
        return int(call(self._socket, "supervisor.getPID"))

    def start(self, name: str) -> None:
        """Start a program, unless it is running."""
        if self.process(name).state not in {"RUNNING", "STARTING"}:
            call(self._socket, "supervisor.startProcess", self._full_name(name), False)

    def stop(self, name: str) -> None:
        """Stop a program and wait until it has ended."""
        if self.process(name).state in {"RUNNING", "STARTING", "BACKOFF"}:
            call(self._socket, "supervisor.stopProcess", self._full_name(name), True)

    def kill(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a program; if it ends, supervisord restarts it."""
        call(self._socket, "supervisor.signalProcess", self._full_name(name), number.name)

    def processes(self) -> list[Process]:
        """Return the processes of all programs."""
        return [
            Process(
                name=str(info["name"]),
                group=str(info["group"]),
                state=str(info["statename"]),
                pid=int(info["pid"]),
                started=float(info["start"]),
                description=str(info["description"]),
            )
            for info in call(self._socket, "supervisor.getAllProcessInfo")
        ]

    def find(self, name: str) -> Process | None:
        """Return the process of a program, or None if there is no such program."""
        return next((process for process in self.processes() if process.name == name), None)

    def process(self, name: str) -> Process:
        """Return the process of a program. Raises StackError if there is no such program."""
        process = self.find(name)
        if process is None:
            names = ", ".join(process.name for process in self.processes())
            raise StackError(f"there is no process {name!r}; there are {names}")
        return process

    def shut_down(self, *, seconds: float) -> bool:
        """Stop all groups in order, then supervisord; return whether it ended within `seconds`."""
        try:
            pid = self.pid()
            call(self._socket, "supervisor.shutdown")
        except TimeoutError:
            return False
        except OSError:
            self._reap()
            return True
        return wait_until(lambda: self._has_ended(pid), seconds)

    def _reap(self) -> None:
        """Collect the exit status of a daemon that was killed."""
        if self._daemon is not None:
            self._daemon.poll()

    def _has_ended(self, pid: int) -> bool:
        # A child of this process remains a zombie until its exit status is collected.
        if self._daemon is not None and self._daemon.pid == pid:
            return self._daemon.poll() is not None
        return not _is_alive(pid)

    def _full_name(self, name: str) -> str:
        return f"{self.process(name).group}:{name}"

    def _config(self, programs: Sequence[Program], folder: Path) -> str:
        groups: dict[str, list[str]] = {}
        for program in programs:
            groups.setdefault(program.group, []).append(program.name)
        sections = [_supervisord_section(self._socket, self._pid_file, self._logs)]
        sections += [program.section(self._logs, folder) for program in programs]
        # Groups are stopped one after another, starting with the highest priority number.
        sections += [
            f"[group:{group}]\nprograms={','.join(names)}\npriority={10 * number}\n"
            for number, (group, names) in enumerate(groups.items(), start=1)
        ]
        return "\n".join(sections)


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait until the condition is true; return False if it is not after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _supervisord_section(socket_path: Path, pid_file: Path, logs: Path) -> str:
    user = "user=root" if os.getuid() == 0 else ""
    return f"""\
[unix_http_server]
file={_escaped(str(socket_path))}
chmod=0600

[supervisord]
nodaemon=true
{user}
logfile={_escaped(str(logs / "supervisord.log"))}
logfile_maxbytes=5MB
pidfile={_escaped(str(pid_file))}
minfds=1024

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
"""


def _escaped(text: str) -> str:
    return text.replace("%", "%%")


def _quoted(word: str) -> str:
    if any(character in word for character in "\"'\\ \t;"):
        word = '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return _escaped(word)
