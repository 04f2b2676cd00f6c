"""Roles of people, and the role that an API key gives."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal, get_args

Role = Literal["viewer", "merchandiser", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)
"""From the least to the most permitted; each may do what those before it may."""


def has_role(role: Role, needed: Role) -> bool:
    """Return whether `role` may do what `needed` may."""
    return ROLES.index(role) >= ROLES.index(needed)


def role_of_scopes(scopes: Collection[str]) -> Role | None:
    """Return the role of an API key by its scopes, or None for a key that may not read.

    A key that may send events only is public: every visitor of the shop has it.
    """
    if "read" not in scopes:
        return None
    if "admin" in scopes:
        return "admin"
    return "merchandiser" if "placements" in scopes else "viewer"
