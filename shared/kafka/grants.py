"""Access rights in Kafka (ACLs): those of each service's user follow from the registry of topics.

A service's user has the service's name. The object store can't log in to Kafka, so anonymous clients may
write its notifications, and nothing else.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from aiokafka.errors import for_code
from aiokafka.protocol.admin import CreateAclsRequest, CreateAclsRequest_v1

from shared.errors import Permanent
from shared.events.topics import INTERACTIONS, ORDERS

if TYPE_CHECKING:
    from aiokafka.admin import AIOKafkaAdminClient

    from shared.events.topics import Topic

ANONYMOUS = "ANONYMOUS"
"""Kafka's user of a client on a listener without authentication."""

_ANY_HOST = "*"
_ALLOW = 3  # AclPermissionType of Kafka's protocol
_SECURITY_DISABLED = 54


class _Resource(IntEnum):
    """ResourceType of Kafka's protocol."""

    TOPIC = 2
    GROUP = 3


class _Pattern(IntEnum):
    """PatternType of Kafka's protocol."""

    LITERAL = 3
    PREFIXED = 4


class _Operation(IntEnum):
    """AclOperation of Kafka's protocol; READ and WRITE include DESCRIBE."""

    READ = 3
    WRITE = 4
    DESCRIBE = 8


@dataclass(frozen=True, slots=True)
class Grant:
    """One right of one user: an allowed operation on a topic or group."""

    user: str
    operation: _Operation
    resource: _Resource
    name: str
    pattern: _Pattern = _Pattern.LITERAL

    @property
    def entry(self) -> tuple[int, str, int, str, str, int, int]:
        """Return its entry in a CreateAcls request of version 1."""
        principal = f"User:{self.user}"
        return (self.resource, self.name, self.pattern, principal, _ANY_HOST, self.operation, _ALLOW)


def grants(topics: Collection[Topic]) -> list[Grant]:
    """Return the rights of every service's user, and of the object store."""
    rights = []
    groups: set[str] = set()
    for topic in topics:
        rights += [_topic(user, _Operation.WRITE, topic.name) for user in sorted(topic.producers)]
        reading = topic.consumers | topic.readers | topic.lookups
        rights += [_topic(user, _Operation.READ, topic.name) for user in sorted(reading)]
        rights += [_topic(user, _Operation.WRITE, topic.dlq(user)) for user in sorted(topic.consumers)]
        groups |= topic.consumers
        if not topic.producers:
            rights.append(_topic(ANONYMOUS, _Operation.WRITE, topic.name))
    rights += [_group(user, _Operation.READ, user) for user in sorted(groups)]
    # The trainer reads how far the tracker is, to wait until an import is stored.
    rights += [_topic("trainer", _Operation.DESCRIBE, topic.name) for topic in (ORDERS, INTERACTIONS)]
    rights.append(_group("trainer", _Operation.DESCRIBE, "tracker"))
    return rights + _replay_rights(topics)


def _replay_rights(topics: Collection[Topic]) -> list[Grant]:
    """Return the rights of the engine, which lists dead letters and publishes them again."""
    rights = []
    for topic in topics:
        rights += [_topic("engine", _Operation.READ, topic.dlq(user)) for user in sorted(topic.consumers)]
        if topic.consumers and "engine" not in topic.producers:
            rights.append(_topic("engine", _Operation.WRITE, topic.name))
    return rights


async def make_grants(admin: AIOKafkaAdminClient, rights: Sequence[Grant]) -> None:
    """Grant the rights, which is idempotent. Raises Permanent if Kafka has no authorizer."""
    answer = await admin._send_to_controller(_CreateAcls(rights))  # noqa: SLF001 - there is no public way
    for error_code, error_message in answer.creation_responses:
        if error_code == _SECURITY_DISABLED:
            raise Permanent("Kafka has no authorizer: set authorizer.class.name, or omit --grants.")
        if error_code:
            raise for_code(error_code)(error_message)


class _CreateAcls(CreateAclsRequest):  # type: ignore[misc]  # aiokafka has no types
    """All rights in one request; aiokafka's own class holds one."""

    def __init__(self, rights: Sequence[Grant]) -> None:
        self._rights = rights

    def build(self, request_struct_class: type[CreateAclsRequest_v1]) -> CreateAclsRequest_v1:
        """Return the request for version 1, the oldest that Kafka 4 supports."""
        return request_struct_class([right.entry for right in self._rights])


def _topic(user: str, operation: _Operation, name: str) -> Grant:
    return Grant(user, operation, _Resource.TOPIC, name)


def _group(user: str, operation: _Operation, prefix: str) -> Grant:
    return Grant(user, operation, _Resource.GROUP, prefix, _Pattern.PREFIXED)
