"""People who signed in at an identity provider: the name and the role in their claims."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from services.dashboard.domain.roles import ROLES, Role

EVERYBODY: Final = "*"
"""The value in the mapping of roles that stands for everybody whom the provider knows."""
MAX_NAME: Final = 100


def role_of_claims(claims: Mapping[str, Any], claim: str, roles: Mapping[str, Role]) -> Role | None:
    """Return the highest role that the values of a claim give; None without any.

    The claim may be inside of others: `realm_access.roles`.
    """
    values = _values(claims, claim)
    matching = [role for value, role in roles.items() if value == EVERYBODY or value in values]
    return max(matching, key=ROLES.index, default=None)


def name_of_claims(claims: Mapping[str, Any]) -> str:
    """Return the name of a person for the audit log: with the address, or else the subject."""
    name = next((claims[key] for key in ("name", "preferred_username") if _is_text(claims.get(key))), "")
    address = claims["email"] if _is_text(claims.get("email")) else claims["sub"]
    return (f"{name} ({address})" if name and name != address else str(address))[:MAX_NAME]


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _values(claims: Mapping[str, Any], claim: str) -> set[str]:
    value: Any = claims.get(claim)
    if value is None:
        value = claims
        for part in claim.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
    values = value if isinstance(value, list) else [value]
    return {each for each in values if isinstance(each, str)}
