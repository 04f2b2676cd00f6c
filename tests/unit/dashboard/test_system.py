"""The state of the installation from probes and metrics, and the differences of documents."""

from __future__ import annotations

from services.dashboard.domain.differences import differences
from services.dashboard.domain.exposition import Samples, parse
from services.dashboard.domain.system import Process, consumers, findings, outboxes, stores

METRICS = r"""
# HELP endcap_kafka_consumer_lag Records that the group has not committed.
# TYPE endcap_kafka_consumer_lag gauge
endcap_kafka_consumer_lag{group="tracker",topic="interactions-v1"} 12000.0
endcap_kafka_consumer_lag{group="tracker",topic="orders-v1"} 0.0
endcap_kafka_consumer_halted{group="tracker",topic="orders-v1"} 1.0
endcap_kafka_dead_letters_total{group="tracker",topic="orders-v1",reason="a \"bad\" one, {x}"} 2.0
endcap_kafka_dead_letters_total{group="tracker",topic="orders-v1",reason="other"} 1.0
endcap_outbox_pending{schema="sync"} 4.0
endcap_outbox_oldest_age_seconds{schema="sync"} 90.0
process_resident_memory_bytes 1.5e+08
broken{ 1
"""


def process(name: str, state: str = "ready", **checks: str) -> Process:
    return Process(name, state, checks=checks, samples=Samples(parse(METRICS)))


def test_labels_are_read_with_their_escapes() -> None:
    samples = Samples(parse(METRICS))

    assert [sample.labels["reason"] for sample in samples.of("endcap_kafka_dead_letters_total")] == [
        'a "bad" one, {x}',
        "other",
    ]
    assert samples.total("process_resident_memory_bytes") == 1.5e8
    assert samples.total("absent") is None


def test_consumers_come_with_the_farthest_behind_first() -> None:
    first, second = consumers([process("tracker-worker")])

    assert (first.topic, first.lag, first.state) == ("interactions-v1", 12_000, "running")
    assert (second.topic, second.state, second.dead_letters) == ("orders-v1", "halted", 3)


def test_what_is_wrong_is_named_critical_problems_first() -> None:
    broken = Process("sync", "failing", checks={"postgres": "not reachable", "kafka": "ok"})
    gone = Process("router", "absent", "router does not answer (no connection).")

    found = findings([process("tracker-worker"), broken, gone])

    assert [(finding.severity, finding.title) for finding in found] == [
        ("critical", "sync is not ready"),
        ("critical", "router does not answer"),
        ("critical", "tracker on orders-v1 has halted"),
        ("critical", "The outbox of sync is not published"),
        ("warning", "tracker on interactions-v1 is behind"),
        ("warning", "tracker on orders-v1 has dead letters"),
    ]
    assert found[0].detail == "postgres: not reachable"


def test_a_healthy_installation_has_no_findings() -> None:
    assert findings([Process("tracker", "ready", checks={"postgres": "ok"})]) == []


def test_stores_and_outboxes_are_those_that_processes_report() -> None:
    processes = [process("a", postgres="ok", auth="ok"), process("b", "failing", postgres="not reachable")]

    (store,) = stores(processes, ("postgres", "redis"))

    assert (store.name, store.users, store.failing) == ("postgres", ("a", "b"), {"b": "not reachable"})
    assert [(box.schema, box.pending) for box in outboxes(processes)] == [("sync", 4)]


def test_differences_name_the_members_that_changed() -> None:
    before = {"limit": 8, "rules": {"pins": [], "caps": 1}, "name": "home"}
    after = {"limit": 8, "rules": {"pins": ["a"], "caps": 1}, "title": "Home", "name": "home"}

    assert differences(before, after) == [("rules.pins", [], ["a"]), ("title", None, "Home")]
    assert differences(None, {"a": 1}) == [("a", None, 1)]
    assert differences({"a": 1}, None) == [("a", 1, None)]
    assert differences(1, 2) == [("", 1, 2)]
