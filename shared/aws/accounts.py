"""The tenants of an AWS account, and the one that a call without a name of its own is about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

MAIN_GROUP: Final = "default"
"""The dataset group that bootstrap makes: an account's main one, if it has it."""


@dataclass(frozen=True, slots=True)
class AccountTenant:
    """A tenant, its account, and its dataset group: the name that people know it by, and its creation."""

    tenant: str
    account: str
    group: str
    created_at: datetime


def main_tenant(tenants: Sequence[AccountTenant]) -> AccountTenant | None:
    """Return the main tenant of an account, which comes first: `default`, or the only one; else None."""
    names = {each.tenant for each in tenants}
    is_clear = bool(tenants) and (tenants[0].group == MAIN_GROUP or len(names) == 1)
    return tenants[0] if is_clear else None
