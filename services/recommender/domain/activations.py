"""The active generation of each recipe's lists, per tenant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


class Overlay(NamedTuple):
    """A generation whose lists are read before those of the active one.

    They know the events until `as_of_seconds` since 1970.
    """

    generation: int
    as_of_seconds: float


@dataclass(frozen=True, slots=True)
class Activation:
    """The generations (recipe → generation) that one activation made active; the highest number wins.

    `overlays` has a recipe only while there is one. `activated_at` is in seconds since 1970; 0.0 if it is not
    known.
    """

    number: int = 0
    generations: Mapping[str, int] = field(default_factory=dict)
    activated_at: float = 0.0
    overlays: Mapping[str, Overlay] = field(default_factory=dict)


NOTHING_ACTIVE = Activation()


class ActiveGenerations:
    """The latest activation of every tenant, in memory."""

    def __init__(self) -> None:
        self._by_tenant: dict[str, Activation] = {}

    def activate(self, tenant: str, activation: Activation) -> bool:
        """Apply an activation; return False if it is not newer than the known one."""
        if activation.number <= self.of(tenant).number:
            return False
        self._by_tenant[tenant] = activation
        return True

    def of(self, tenant: str) -> Activation:
        """Return the latest activation of a tenant; NOTHING_ACTIVE before the first one."""
        return self._by_tenant.get(tenant, NOTHING_ACTIVE)

    @property
    def tenants(self) -> list[str]:
        """Return the tenants that have an active generation."""
        return list(self._by_tenant)
