"""One stack: a root folder, its ports, and the life of every process in it.

`make run` has one under `.local/`; the tests have theirs in temporary folders on free ports.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy.local import product
from deploy.local.components import kafka, postgres, redis, s3
from deploy.local.environment import external_components, process_environment
from deploy.local.failure import StackError
from deploy.local.ports import LOOPBACK, SERVICES, Ports, is_open, variable
from deploy.local.secrets import Secrets, write_private
from deploy.local.supervisor import Process, Program, Supervisor
from deploy.local.sweep import end_orphans
from deploy.local.tools import PROJECT, Tools

COMPONENTS = ("postgres", "redis", "kafka", "s3")

# Half a minute on an idle machine; a busy one is no reason to give up.
_START_SECONDS = 300
_MOST_ATTEMPTS = 8
_STOP_SECONDS = 19
_MOST_PORTS_TOLD = 3


@dataclass
class Stack:
    """The processes below one root. `external` has the addresses of components run elsewhere."""

    root: Path
    ports: Ports
    external: Mapping[str, str] = field(default_factory=dict)
    tools: Tools = field(default_factory=Tools)
    durable: bool = True
    keyless: bool = False
    extra: Mapping[str, str] = field(default_factory=dict)
    say: Callable[[str], None] = lambda _: None

    def __post_init__(self) -> None:
        """Make the folders and the secrets, once."""
        self.root = self.root.absolute()
        for name in ("data", "logs", "run", "keys"):
            folder = self.root / name
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o700)
        if os.getuid() == 0:
            # PostgreSQL's own user passes through to its folder, without the right to list this one.
            (self.root / "data").chmod(0o711)
        self.secrets = Secrets.kept_in(self.root / "keys")
        self.supervisor = Supervisor(self.root)

    @classmethod
    def of_run(cls, root: Path, environment: Mapping[str, str], **options: Any) -> Stack:
        """The stack of `make run`: as it was started when it runs, else as the variables say."""
        ports, external = addresses_of_run(root, environment)
        return cls(root, ports, external, keyless=True, **options)

    @property
    def keys_file(self) -> Path:
        """The keys of the tenant `default`, made by bootstrap."""
        return self.root / "keys" / "keys.json"

    @property
    def environment(self) -> dict[str, str]:
        """The variables that every process of the stack is given."""
        own = process_environment(
            self.ports, self.secrets, self.external, keyless=self.keyless, root=self.root
        )
        return {**own, **self.extra}

    @property
    def is_running(self) -> bool:
        """Whether its supervisor answers."""
        return self.supervisor.is_running()

    @property
    def components(self) -> tuple[str, ...]:
        """The components that this stack runs itself."""
        return tuple(name for name in COMPONENTS if name not in self.external)

    def launch(self, components: Iterable[str] = COMPONENTS, *, tied: bool = False) -> None:
        """Start the supervisor with nothing running yet.

        `tied`: everything ends when the calling process does, however that ends.
        """
        self.refuse_if_running()
        end_orphans(self.root, seconds=5)
        wanted = [name for name in components if name in self.components]
        self._refuse_taken_ports([*wanted, *SERVICES])
        state = {"ports": dict(self.ports.by_name), "external": dict(self.external)}
        write_private(self.root / "run" / "state.json", json.dumps(state, indent=2) + "\n")
        programs = [self._component(name) for name in wanted] + product.programs()
        self.supervisor.launch(programs, folder=PROJECT, environment=self.environment, ends_with_caller=tied)

    def refuse_if_running(self) -> None:
        """One root has one stack."""
        if self.is_running:
            raise StackError(
                f"the stack in {self.root} runs already; `make status` shows it, `make stop` ends it"
            )

    def start(self, *components: str) -> None:
        """Start components side by side, and wait until each answers."""
        wanted = [name for name in components if name in self.components]
        begin = time.monotonic()
        for name in wanted:
            self.supervisor.start(name)
        for name in wanted:
            self.wait_until_ready(name)
            self.say(f"{name} answers after {time.monotonic() - begin:.1f} s")

    def wait_until_ready(self, name: str, *, seconds: float = _START_SECONDS) -> None:
        """Wait until a component or process can do its work; give up early on one that keeps ending."""
        deadline = time.monotonic() + seconds
        seen: set[int] = set()
        while not self.is_ready(name):
            known = self.supervisor.find(name)
            if known is not None and known.pid:
                seen.add(known.pid)
            if len(seen) > _MOST_ATTEMPTS:
                raise StackError(self._log_end(name, "keeps ending"))
            if time.monotonic() > deadline:
                raise StackError(self._log_end(name, f"was not ready after {seconds:.0f} s"))
            time.sleep(0.1)

    def is_ready(self, name: str) -> bool:
        """Whether a component or process can do its work."""
        match name:
            case "postgres":
                return is_open(self.ports["postgres"]) and postgres.answers(self.postgres_admin)
            case "redis":
                return redis.answers(self.ports, self.secrets.redis)
            case "kafka":
                return is_open(self.ports["kafka"])
            case "s3":
                return s3.answers(self.ports)
            case _:
                return product.is_ready(self.ports, name)

    @property
    def postgres_admin(self) -> str:
        """The administrator's address of the database that always is."""
        return postgres.url(self.ports, self.secrets.postgres, database="postgres")

    def prepare_database(self) -> None:
        """The database, the roles of the services and their schemas."""
        if "postgres" in self.components:
            postgres.create_database(self.postgres_admin, postgres.DATABASE)
        product.create_roles(self.environment, self.preparation_log)
        product.migrate(self.environment, self.preparation_log)

    def create_topics(self) -> None:
        """Every topic of the registry."""
        product.create_topics(self.environment, self.preparation_log, grants="kafka" not in self.external)

    def bootstrap(self) -> None:
        """The tenant `default`, its keys and the buckets."""
        policies = "s3" not in self.external
        product.bootstrap(self.environment, self.preparation_log, self.keys_file, policies=policies)

    def start_product(self, names: Iterable[str] | None = None) -> None:
        """Start the services and their workers, and wait until all are ready."""
        begin = time.monotonic()
        chosen = list(names) if names else [program.name for program in product.programs()]
        for name in chosen:
            self.supervisor.start(name)
        for name in chosen:
            self.wait_until_ready(name)
        self.say(f"{len(chosen)} processes are ready after {time.monotonic() - begin:.1f} s")

    def start_everything(self) -> None:
        """Bring the whole product up, after `launch`."""
        self.start("postgres", "redis", "kafka")
        with ThreadPoolExecutor(1) as executor:
            database = executor.submit(self.prepare_database)
            self.create_topics()
            self.start("s3")
            database.result()
        self.say("topics and tables are there")
        self.bootstrap()
        self.start_product()

    def keys(self) -> dict[str, str]:
        """The keys of the tenant `default`; there are none before the first start."""
        if not self.keys_file.exists():
            raise StackError("there are no keys yet: they are made by the first `make run`")
        return dict(json.loads(self.keys_file.read_text()))

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal to a process by its name; gives the process id it had."""
        pid = self.supervisor.process(name).pid
        os.kill(pid, number)
        return pid

    def processes(self) -> list[Process]:
        """Every process with its state."""
        return self.supervisor.processes()

    def stop(self) -> float:
        """End everything: services, then S3, Kafka, Redis, Postgres; gives the seconds it took."""
        begin = time.monotonic()
        self.supervisor.shut_down(seconds=_STOP_SECONDS - 2)
        end_orphans(self.root, seconds=max(1.0, _STOP_SECONDS - (time.monotonic() - begin)))
        return time.monotonic() - begin

    @property
    def preparation_log(self) -> Path:
        """What the commands before the start of the services said."""
        return self.root / "logs" / "prepare.log"

    def _component(self, name: str) -> Program:
        data = self.root / "data" / name
        if name != "postgres":  # which belongs to a user of its own where we are root
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
                return s3.program(self.tools, data, self.ports, self.secrets, self.kafka_of_s3)

    @property
    def kafka_of_s3(self) -> str:
        """The address to which the S3 server writes; of our own Kafka it is a listener without a password."""
        if "kafka" in self.external:
            return self.external["kafka"]
        return f"{LOOPBACK}:{self.ports['kafka-objects']}"

    def _refuse_taken_ports(self, names: Iterable[str]) -> None:
        wanted = list(names)
        if "kafka" in wanted:
            wanted += ["kafka-controller", "kafka-objects"]
        taken = [
            f"port {port} for {name} is taken; end what listens there, or choose another with "
            f"{variable(name)}=… in front of the command"
            for name, port in self.ports.taken(wanted)
        ]
        if len(taken) > _MOST_PORTS_TOLD:
            more = len(taken) - _MOST_PORTS_TOLD
            taken[_MOST_PORTS_TOLD:] = [f"and {more} more; is it another clone's stack that runs?"]
        if taken:
            raise StackError("\n".join(taken))

    def _log_end(self, name: str, what: str) -> str:
        log = self.root / "logs" / f"{name}.log"
        last = log.read_text(errors="replace").splitlines()[-8:] if log.exists() else []
        return "\n".join([f"{name} {what}; the end of {log}:", *last])


def addresses_of_run(root: Path, environment: Mapping[str, str]) -> tuple[Ports, dict[str, str]]:
    """The ports of the stack that `make run` has or would have, and what it leaves out."""
    state = root / "run" / "state.json"
    if state.exists() and Supervisor(root).is_running():
        known = json.loads(state.read_text())
        return Ports(known["ports"]), known["external"]
    ports = Ports.usual(environment)
    return ports, external_components(ports, environment)
