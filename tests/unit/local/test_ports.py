"""Ports and addresses of a stack."""

from __future__ import annotations

import pytest

from deploy.local.environment import external_components
from deploy.local.errors import StackError
from deploy.local.ports import Ports


def test_a_variable_moves_one_port() -> None:
    ports = Ports.usual({"TRACKER_PORT": "9001", "ENDCAP_S3_PORT": "9002"})

    assert ports["tracker"] == 9001
    assert ports["s3"] == 9002
    assert ports["sync"] == 8002


@pytest.mark.parametrize("value", ["http", "0", "-1", "70000"])
def test_what_is_no_port_is_refused_by_name(value: str) -> None:
    with pytest.raises(StackError, match="TRACKER_PORT"):
        Ports.usual({"TRACKER_PORT": value})


def test_the_stacks_own_addresses_leave_nothing_out() -> None:
    ports = Ports.usual({})
    own = {
        "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:19092",
        "DATABASE_URL": "postgresql://postgres:secret@127.0.0.1:15432/endcap",
        "REDIS_URL": "redis://localhost:16379/0",
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:17070",
    }

    assert external_components(ports, own) == {}


def test_another_address_leaves_its_component_out() -> None:
    environment = {"REDIS_URL": "redis://cache.internal:6379/0"}

    assert external_components(Ports.usual({}), environment) == {"redis": environment["REDIS_URL"]}


def test_free_ports_are_given_once() -> None:
    first, second = Ports.free(), Ports.free()

    assert not set(first.by_name.values()) & set(second.by_name.values())
