"""Which generation of each recipe is served, per tenant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Pointer:
    """One activation: recipe → generation. Of two, the one with the greater number holds."""

    activation: int = 0
    generations: Mapping[str, int] = field(default_factory=dict)


NOWHERE = Pointer()


class Pointers:
    """The pointers of all tenants, in memory."""

    def __init__(self) -> None:
        self._of: dict[str, Pointer] = {}

    def move(self, tenant: str, pointer: Pointer) -> bool:
        """Take a pointer; False when it is no newer than the one known."""
        if pointer.activation <= self.of(tenant).activation:
            return False
        self._of[tenant] = pointer
        return True

    def of(self, tenant: str) -> Pointer:
        """The pointer of a tenant; one that points nowhere if nothing was ever activated."""
        return self._of.get(tenant, NOWHERE)

    @property
    def tenants(self) -> list[str]:
        """Every tenant that has something to serve."""
        return list(self._of)
