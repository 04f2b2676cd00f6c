"""The state of the installation, from the probes and metrics of its processes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from services.dashboard.domain.exposition import Samples

State = Literal["ready", "failing", "absent"]
Severity = Literal["critical", "warning"]

MANY_RECORDS = 10_000
"""Records that a consumer may be behind; as the alert EndcapConsumerLag."""
OLD_SECONDS = 60.0
"""Age of an unpublished row of an outbox, and a consumer's wait, that are problems; as the alerts."""


@dataclass(frozen=True, slots=True)
class Process:
    """A process: its state, the result of each of its checks, and its metrics."""

    name: str
    state: State
    reason: str | None = None
    checks: Mapping[str, str] = field(default_factory=dict)
    samples: Samples = field(default_factory=Samples)

    @property
    def memory_bytes(self) -> float | None:
        """Return the resident memory."""
        return self.samples.total("process_resident_memory_bytes")

    @property
    def started_at(self) -> float | None:
        """Return the start in seconds since 1970."""
        return self.samples.total("process_start_time_seconds")

    @property
    def cpu_seconds(self) -> float | None:
        """Return the processor time since the start."""
        return self.samples.total("process_cpu_seconds_total")

    @property
    def connections(self) -> float | None:
        """Return the open HTTP connections."""
        return self.samples.total("endcap_http_connections")

    @property
    def loop_wait_seconds(self) -> float | None:
        """Return how late the event loop was when it was last measured."""
        return self.samples.total("endcap_http_loop_wait_seconds")

    @property
    def failing_checks(self) -> dict[str, str]:
        """Return the reason of each failing check."""
        return {name: reason for name, reason in self.checks.items() if reason != "ok"}


@dataclass(frozen=True, slots=True)
class ConsumerState:
    """A consumer group on a topic."""

    group: str
    topic: str
    lag: float
    handled: float
    dead_letters: float
    retries: float
    waiting_seconds: float
    is_halted: bool

    @property
    def state(self) -> str:
        """Return `halted`, `waiting` or `running`."""
        if self.is_halted:
            return "halted"
        return "waiting" if self.waiting_seconds > 0 else "running"


@dataclass(frozen=True, slots=True)
class OutboxState:
    """The rows of a schema that are not published yet."""

    schema: str
    pending: float
    oldest_seconds: float
    set_aside: float


@dataclass(frozen=True, slots=True)
class StoreState:
    """A server that processes depend on, as they see it."""

    name: str
    users: tuple[str, ...]
    failing: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem that a person should look at."""

    severity: Severity
    title: str
    detail: str


def consumers(processes: Iterable[Process]) -> list[ConsumerState]:
    """Return the consumers of all processes, the farthest behind first."""
    keys: dict[tuple[str, str], list[Samples]] = {}
    for process in processes:
        for sample in process.samples.of("endcap_kafka_consumer_lag"):
            keys.setdefault((sample.labels["group"], sample.labels["topic"]), []).append(process.samples)
    states = [_consumer(group, topic, samples) for (group, topic), samples in keys.items()]
    return sorted(states, key=lambda state: (-state.lag, state.group, state.topic))


def _consumer(group: str, topic: str, samples: Sequence[Samples]) -> ConsumerState:
    def total(name: str) -> float:
        return sum(entry.total(name, group=group, topic=topic) or 0.0 for entry in samples)

    return ConsumerState(
        group=group,
        topic=topic,
        lag=total("endcap_kafka_consumer_lag"),
        handled=total("endcap_kafka_consumed_total"),
        dead_letters=total("endcap_kafka_dead_letters_total"),
        retries=total("endcap_kafka_retries_total"),
        waiting_seconds=total("endcap_kafka_consumer_waiting_seconds"),
        is_halted=total("endcap_kafka_consumer_halted") > 0,
    )


def outboxes(processes: Iterable[Process]) -> list[OutboxState]:
    """Return the outbox of each schema, as the process that publishes it reports."""
    states: dict[str, OutboxState] = {}
    for process in processes:
        for sample in process.samples.of("endcap_outbox_pending"):
            schema = sample.labels["schema"]
            states[schema] = OutboxState(
                schema=schema,
                pending=sample.value,
                oldest_seconds=process.samples.total("endcap_outbox_oldest_age_seconds", schema=schema)
                or 0.0,
                set_aside=process.samples.total("endcap_outbox_set_aside", schema=schema) or 0.0,
            )
    return [states[schema] for schema in sorted(states)]


def stores(processes: Iterable[Process], names: Sequence[str]) -> list[StoreState]:
    """Return each server of `names` that a process has a check for."""
    reports: dict[str, dict[str, str]] = {}
    for process in processes:
        for check, reason in process.checks.items():
            if check in names:
                reports.setdefault(check, {})[process.name] = reason
    return [
        StoreState(
            name,
            tuple(sorted(reports[name])),
            {process: reason for process, reason in reports[name].items() if reason != "ok"},
        )
        for name in names
        if name in reports
    ]


def findings(processes: Sequence[Process]) -> list[Finding]:
    """Return what is wrong now, critical problems first."""
    problems = [_process_finding(process) for process in processes if process.state != "ready"]
    problems += [finding for state in consumers(processes) for finding in _consumer_findings(state)]
    problems += [finding for state in outboxes(processes) for finding in _outbox_findings(state)]
    return sorted(problems, key=lambda finding: finding.severity != "critical")


def _process_finding(process: Process) -> Finding:
    if process.state == "absent":
        return Finding("critical", f"{process.name} does not answer", process.reason or "")
    reasons = "; ".join(f"{name}: {reason}" for name, reason in process.failing_checks.items())
    return Finding("critical", f"{process.name} is not ready", reasons or process.reason or "")


def _consumer_findings(state: ConsumerState) -> list[Finding]:
    where = f"{state.group} on {state.topic}"
    problems = []
    if state.is_halted:
        detail = "Too many bad records in a row. Look at the newest dead letters; it tries again by itself."
        problems.append(Finding("critical", f"{where} has halted", detail))
    elif state.waiting_seconds > OLD_SECONDS:
        detail = f"It waits for {state.waiting_seconds:.0f} s for a server that it needs. Nothing is lost."
        problems.append(Finding("critical", f"{where} is blocked", detail))
    if state.lag > MANY_RECORDS:
        detail = f"{state.lag:,.0f} records are not handled yet. Start more workers if it goes on."
        problems.append(Finding("warning", f"{where} is behind", detail))
    if state.dead_letters:
        detail = f"{state.dead_letters:,.0f} records could not be handled since the process started."
        problems.append(Finding("warning", f"{where} has dead letters", detail))
    return problems


def _outbox_findings(state: OutboxState) -> list[Finding]:
    problems = []
    if state.oldest_seconds > OLD_SECONDS:
        detail = f"{state.pending:,.0f} rows wait, the oldest for {state.oldest_seconds:.0f} s. Is Kafka up?"
        problems.append(Finding("critical", f"The outbox of {state.schema} is not published", detail))
    if state.set_aside:
        detail = f"Kafka rejected {state.set_aside:,.0f} rows; an operator has to look at them."
        problems.append(Finding("warning", f"The outbox of {state.schema} has rejected rows", detail))
    return problems
