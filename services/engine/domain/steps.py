"""The steps of a plan, and the state of an account before the first one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from services.engine.domain.declaration import Declaration

Call = tuple[str, Mapping[str, Any]]
"""The name of a method of boto3's client, and its arguments."""
PUT_PLACEMENT = "put_placement"
"""The call that is none of boto3's: it defines a placement by its REST route."""
Sign = Literal["create", "update", "replace", "train", "conflict"]


@dataclass(frozen=True)
class ResourceRef:
    """A reference to the ARN of another resource, which is known when the step is taken."""

    kind: str
    name: str
    suffix: str = ""


@dataclass(frozen=True)
class Step:
    """One change: a description, and the calls of boto3's client that make it, in order.

    `makes` is the resource that the last call creates or updates, which has to become ACTIVE. A conflict has
    no calls: it is a difference that no call removes.
    """

    sign: Sign
    kind: str
    name: str
    why: str = ""
    calls: tuple[Call, ...] = ()
    makes: ResourceRef | None = None

    def __str__(self) -> str:
        mark = {"create": "+", "update": "~", "replace": "±", "train": "▸", "conflict": "!"}[self.sign]
        return f"{mark} {self.sign} {self.kind} {self.name}" + (f": {self.why}" if self.why else "")


def create_step(kind: str, name: str, operation: str, arguments: Mapping[str, Any]) -> Step:
    """Return the step that creates a resource by one call."""
    return Step("create", kind, name, "", ((operation, arguments),), ResourceRef(kind, name))


def update_step(kind: str, name: str, why: str, call: Call) -> Step:
    """Return the step that updates a resource by one call."""
    return Step("update", kind, name, why, (call,), ResourceRef(kind, name))


def conflict(kind: str, name: str, why: str) -> Step:
    """Return the step for a difference that no call removes."""
    return Step("conflict", kind, name, why)


@dataclass(frozen=True)
class AccountState:
    """The resources of an account as a declaration, and what a declaration does not contain.

    `failed` are the reasons of failed resources by kind and name, `trained` are the solutions with an ACTIVE
    version. `has_placements` is False for Amazon Personalize.
    """

    declaration: Declaration
    failed: Mapping[tuple[str, str], str] = field(default_factory=dict)
    trained: frozenset[str] = frozenset()
    has_placements: bool = True
