"""`make status`: a table of the processes, their ports and whether they are ready."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from deploy.local import product
from deploy.local.stack import COMPONENTS, Stack
from deploy.local.supervisor import Process

_ROW = "{:<20} {:<10} {:>8} {:>7}  {:<10} {}"


def show(stack: Stack) -> int:
    """Print the table; return 0 if everything is ready, else 1, for scripts."""
    if not stack.is_running:
        print("The stack is not running. Start it with `make run`.")
        return 1
    processes = sorted(stack.processes(), key=_order)
    with ThreadPoolExecutor(8) as executor:
        ready = list(executor.map(lambda process: stack.is_ready(process.name), processes))
    print(_ROW.format("process", "state", "pid", "port", "health", "up"))
    for process, is_ready in zip(processes, ready, strict=True):
        print(_row(stack, process, is_ready=is_ready))
    for name, address in stack.external.items():
        print(_ROW.format(name, "external", "", "", "", address.rpartition("@")[2]))
    return 0 if all(ready) else 1


def _row(stack: Stack, process: Process, *, is_ready: bool) -> str:
    is_component = process.name in {*COMPONENTS, "gateway"}
    port = stack.ports[process.name] if is_component else product.probe_port(stack.ports, process.name)
    up = f"{_duration(time.time() - process.started)}" if process.pid else ""
    health = "ready" if is_ready else "not ready"
    return _ROW.format(process.name, process.state.lower(), process.pid or "", port, health, up)


def _order(process: Process) -> tuple[bool, str]:
    return process.name not in COMPONENTS, process.name


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
