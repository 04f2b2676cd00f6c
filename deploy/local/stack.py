"""A stack: a root folder, ports, and the processes that are started and stopped in it.

`make run` has one in `.local/`; the tests have theirs in temporary folders, on free ports.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from deploy.local import demo_shop, product
from deploy.local.address import GatewayAddress
from deploy.local.components import gateway, kafka, postgres, redis, s3
from deploy.local.environment import client_environment, process_environment
from deploy.local.errors import StackError
from deploy.local.orphans import end_orphans
from deploy.local.ports import LOOPBACK, SERVICES, Ports, is_open
from deploy.local.secrets import Secrets
from deploy.local.state import State
from deploy.local.supervisor import Process, Program, Supervisor
from deploy.local.tools import PROJECT, Tools

COMPONENTS = ("postgres", "redis", "kafka", "s3")

# A start takes half a minute on an idle machine; on a busy one it may take much longer.
_START_SECONDS = 300
_MAX_ATTEMPTS = 8
_STOP_SECONDS = 19
_REPORT_SECONDS = 10
"""Seconds between two lines about a process that is not ready. Arbitrary."""


@dataclass
class Stack:
    """The processes of one root folder. `external` are the addresses of components run elsewhere.

    `ui=False` leaves out the parts of `product.UI`; `product.programs` explains `low_priority_workers`.
    """

    root: Path
    ports: Ports
    external: Mapping[str, str] = field(default_factory=dict)
    tools: Tools = field(default_factory=Tools)
    durable: bool = True
    keyless: bool = False
    ui: bool = True
    low_priority_workers: bool = True
    extra: Mapping[str, str] = field(default_factory=dict)
    running_address: GatewayAddress | None = None
    report: Callable[[str], None] = lambda _: None

    def __post_init__(self) -> None:
        """Create the folders and the secrets if they do not exist."""
        self.root = self.root.absolute()
        for name in ("data", "logs", "run", "keys"):
            folder = self.root / name
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o700)
        if os.getuid() == 0:
            # The user of PostgreSQL may enter this folder to reach its own, but not list it.
            (self.root / "data").chmod(0o711)
        self.secrets = Secrets.load_or_create(self.root / "keys")
        self.supervisor = Supervisor(self.root)

    @classmethod
    def for_make_run(cls, root: Path, environment: Mapping[str, str], **options: Any) -> Stack:
        """Return the stack of `make run`: as it is running, else as the variables say."""
        state = State.of_running(root) or State.configured(environment)
        return cls(root, state.ports, state.external, keyless=True, running_address=state.address, **options)

    @property
    def keys_file(self) -> Path:
        """Return the file with the keys of the tenant `default`, which `bootstrap` creates."""
        return self.root / "keys" / "keys.json"

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment of every process of the stack."""
        places = self.ports, self.secrets, self.external
        return {**process_environment(*places, keyless=self.keyless, root=self.root), **self.extra}

    @cached_property
    def address(self) -> GatewayAddress:
        """Return the gateway's address. Raises StackError if its certificate or a setting is not valid."""
        return self.running_address or gateway.address(self.ports, self.root / "run")

    def client_environment(self) -> dict[str, str]:
        """Return the environment of clients. Raises StackError before the first start."""
        return client_environment(self.ports, self.secrets, self.external, self.keys(), self.address)

    @property
    def is_running(self) -> bool:
        """Return whether the supervisor is running."""
        return self.supervisor.is_running()

    @property
    def components(self) -> tuple[str, ...]:
        """Return the components that this stack runs."""
        return tuple(name for name in COMPONENTS if name not in self.external)

    def launch(self, components: Iterable[str] = COMPONENTS, *, ends_with_caller: bool = False) -> None:
        """Start the supervisor without any program. Raises StackError if a port is taken.

        With `ends_with_caller`, the stack ends with the calling process, even if that is killed.
        """
        self.require_stopped()
        end_orphans(self.root, seconds=5)
        own = [name for name in components if name in self.components]
        settings = gateway.settings(self.ports)
        extra = ["gateway", "gateway-metrics", *["gateway-plain"] * bool(settings.plain_port)]
        self.ports.require_free([*own, *SERVICES, *extra, *[demo_shop.NAME] * self.ui])
        self.address.write_bundle(settings)
        State(self.ports, self.external, self.address).write(self.root)
        programs = [*map(self._component, own), *self._product(), self._gateway()]
        self.supervisor.launch(
            programs, folder=PROJECT, environment=self.environment, ends_with_caller=ends_with_caller
        )

    def require_stopped(self) -> None:
        """Raise StackError if the stack is running."""
        if self.is_running:
            raise StackError(
                f"the stack in {self.root} is already running; see `make status`, or stop it with `make stop`"
            )

    def start(self, *components: str) -> None:
        """Start components in parallel, and wait until each is ready. Raises StackError."""
        own = [name for name in components if name in self.components]
        started = time.monotonic()
        for name in own:
            self.supervisor.start(name)
        for name in own:
            self.wait_until_ready(name)
            self.report(f"{name} is ready after {time.monotonic() - started:.1f} s")

    def wait_until_ready(self, name: str, *, seconds: float = _START_SECONDS) -> None:
        """Wait until a component or process is ready. Raises StackError if it keeps ending or times out."""
        deadline = time.monotonic() + seconds
        report_at = time.monotonic() + _REPORT_SECONDS
        pids: set[int] = set()
        while problem := self.problem(name):
            process = self.supervisor.find(name)
            if process is not None and process.pid:
                pids.add(process.pid)
            if len(pids) > _MAX_ATTEMPTS:
                raise StackError(self._log_end(name, "keeps ending"))
            if time.monotonic() > deadline:
                raise StackError(self._log_end(name, f"was not ready after {seconds:.0f} s ({problem})"))
            if time.monotonic() > report_at:
                report_at += _REPORT_SECONDS
                self.report(f"waiting for {name}: {problem}")
            time.sleep(0.1)

    def is_ready(self, name: str) -> bool:
        """Return whether a component or process is ready."""
        return self.problem(name) is None

    def problem(self, name: str) -> str | None:
        """Return why a component or process is not ready, or None if it is."""
        match name:
            case "postgres":
                is_ready = is_open(self.ports["postgres"]) and postgres.answers(self.postgres_admin)
            case "redis":
                is_ready = redis.answers(self.ports, self.secrets.redis)
            case "kafka":
                is_ready = is_open(self.ports["kafka"])
            case "s3":
                is_ready = s3.answers(self.ports)
            case "gateway":
                is_ready = gateway.answers(self.address.plain_url)
            case _:
                return product.problem(self.ports, name)
        return None if is_ready else f"it does not answer on port {self.ports[name]} yet"

    @property
    def postgres_admin(self) -> str:
        """Return the administrator's address of the database `postgres`, which always exists."""
        return postgres.url(self.ports, self.secrets.postgres, database="postgres")

    def prepare_database(self) -> None:
        """Create the database, and the roles and schemas of the services."""
        if "postgres" in self.components:
            postgres.create_database(self.postgres_admin, postgres.DATABASE)
        product.create_roles(self.environment, self.preparation_log)
        product.migrate(self.environment, self.preparation_log)

    def create_topics(self) -> None:
        """Create all topics of the registry."""
        product.create_topics(self.environment, self.preparation_log, grants="kafka" not in self.external)

    def bootstrap(self) -> None:
        """Create the tenant `default`, its keys and the buckets."""
        policies = "s3" not in self.external
        product.bootstrap(self.environment, self.preparation_log, self.keys_file, policies=policies)

    def start_product(self, names: Iterable[str] | None = None) -> None:
        """Start processes (default: all services), and wait until they are ready. Raises StackError."""
        started = time.monotonic()
        processes = list(names) if names else [program.name for program in self._product()]
        for name in processes:
            self.supervisor.start(name)
        for name in processes:
            self.wait_until_ready(name)
        self.report(f"{len(processes)} processes are ready after {time.monotonic() - started:.1f} s")

    def start_everything(self) -> None:
        """Start all components and services and the gateway, after `launch`. Raises StackError."""
        self.start("postgres", "redis", "kafka")
        with ThreadPoolExecutor(1) as executor:
            database = executor.submit(self.prepare_database)
            self.create_topics()
            self.start("s3")
            database.result()
        self.report("topics and tables are created")
        self.bootstrap()
        if self.ui:
            demo_shop.create_keys(self.environment, self.preparation_log, self.root, self.address)
        self.supervisor.start("gateway")
        self.start_product()
        self.wait_until_ready("gateway")
        if problem := self.address.problem():
            self.report(problem)

    def keys(self) -> dict[str, str]:
        """Return the keys of the tenant `default`. Raises StackError before the first start."""
        if not self.keys_file.exists():
            raise StackError("there are no keys yet: the first `make run` creates them")
        return dict(json.loads(self.keys_file.read_text()))

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal to a process by its name; return its process id."""
        pid = self.supervisor.process(name).pid
        os.kill(pid, number)
        return pid

    def processes(self) -> list[Process]:
        """Return all processes with their states."""
        return self.supervisor.processes()

    def stop(self) -> float:
        """Stop the gateway, services, S3, Kafka, Redis and Postgres; return the duration in seconds."""
        started = time.monotonic()
        self.supervisor.shut_down(seconds=_STOP_SECONDS - 2)
        end_orphans(self.root, seconds=max(1.0, _STOP_SECONDS - (time.monotonic() - started)))
        return time.monotonic() - started

    @property
    def preparation_log(self) -> Path:
        """Return the log of the preparations before the start of the services."""
        return self.root / "logs" / "prepare.log"

    def _product(self) -> list[Program]:
        """Return the processes of the services, and of the demo shop unless the stack has no UI."""
        programs = product.programs(ui=self.ui, low_priority_workers=self.low_priority_workers)
        return [*programs, demo_shop.program(self.root, self.ports, self.address)] if self.ui else programs

    def _gateway(self) -> Program:
        names = {program.name for program in self._product()}
        services = {name: self.ports[name] for name in sorted(names & self.ports.by_name.keys())}
        if "s3" in self.components:  # signatures cover the host, so an external server is called directly
            services["s3"] = self.ports["s3"]
        kit = PROJECT / "examples" / "storefront" / "dist" / "kit.js" if self.ui else None
        return gateway.program(self.tools, self.root / "data" / "gateway", self.ports, services, kit)

    def _component(self, name: str) -> Program:
        data = self.root / "data" / name
        if name != "postgres":  # PostgreSQL's folder belongs to another user if we are root
            data.mkdir(exist_ok=True)
            data.chmod(0o700)
        match name:
            case "postgres":
                password = self.secrets.postgres
                return postgres.program(self.tools, data, self.ports, password, durable=self.durable)
            case "redis":
                return redis.program(self.tools, data, self.ports, self.secrets.redis)
            case "kafka":
                return kafka.program(self.tools, data, self.ports, self.secrets.kafka_users)
            case _:
                return s3.program(self.tools, data, self.ports, self.secrets, self.s3_kafka_address)

    @property
    def s3_kafka_address(self) -> str:
        """Return the Kafka address for the S3 server; of the stack's Kafka, a listener without passwords."""
        if "kafka" in self.external:
            return self.external["kafka"]
        return f"{LOOPBACK}:{self.ports['kafka-objects']}"

    def _log_end(self, name: str, problem: str) -> str:
        log = self.root / "logs" / f"{name}.log"
        last_lines = log.read_text(errors="replace").splitlines()[-8:] if log.exists() else []
        return "\n".join([f"{name} {problem}; the end of {log}:", *last_lines])
