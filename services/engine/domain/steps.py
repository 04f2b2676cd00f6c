"""What a plan is made of: steps, and what there is before the first one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from services.engine.domain.declaration import Declaration

Sign = Literal["create", "update", "replace", "train", "conflict"]


@dataclass(frozen=True)
class ResourceRef:
    """The ARN of another resource, known when the step is taken."""

    kind: str
    name: str
    suffix: str = ""


@dataclass(frozen=True)
class Step:
    """One change: what people read, and the calls that make it (of boto3's client, in order).

    `makes` is the resource that the last call creates, `waits` the one that has to be ACTIVE afterwards.
    A conflict has no calls: it is what can't be reached by any.
    """

    sign: Sign
    kind: str
    name: str
    why: str = ""
    calls: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    makes: ResourceRef | None = None

    def __str__(self) -> str:
        mark = {"create": "+", "update": "~", "replace": "±", "train": "▸", "conflict": "!"}[self.sign]
        return f"{mark} {self.sign} {self.kind} {self.name}" + (f": {self.why}" if self.why else "")


@dataclass(frozen=True)
class AccountState:
    """What an account holds, and what a declaration can't say of it."""

    declaration: Declaration
    failed: Mapping[tuple[str, str], str] = field(default_factory=dict)
    trained: frozenset[str] = frozenset()
    """Solutions with an ACTIVE version."""
