"""Sessions of people who signed in, and the API keys that they sign in with.

See docs/decisions/0040-dashboard.md.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.dashboard.domain.roles import Role, role_of_scopes
from services.dashboard.store.statements import SQL
from shared.auth import hash_key

if TYPE_CHECKING:
    from services.dashboard.settings import Settings
    from shared.postgres import Database


SIGN_IN_SECONDS = 600.0
"""Time that a person has for a sign-in at an identity provider; arbitrary."""


MAX_HINT = 6_000
"""Characters of an ID token that are kept for the sign-out: proxies refuse addresses of more than 8 KiB."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who may use the dashboard: the name for the audit log, the tenant and the role.

    Who signed in with a key has its hash, and who signed in at an identity provider the ID token.
    """

    name: str
    tenant: str
    role: Role
    key_hash: bytes | None = None
    id_token: str | None = None


@dataclass(frozen=True, slots=True)
class PendingSignIn:
    """A sign-in at an identity provider: what its answer must fit, and the page that follows."""

    nonce: str
    verifier: str
    destination: str


class Sessions:
    """Sessions in Postgres, by the hash of the token in the cookie of a browser."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._hours = settings.session_hours
        self._idle_hours = settings.session_idle_hours

    async def person_of_key(self, key: str, name: str = "") -> Person | None:
        """Return the person of an API key, or None for a key that gives no role.

        Keys of services have no tenant, and keys that are bound to origins are in pages of the shop, where
        everybody can read them.
        """
        row = await self._database.fetchrow(*SQL.key(key_hash=hash_key(key)))
        if row is None or row["tenant"] is None or row["allowed_origins"] is not None:
            return None
        role = role_of_scopes(row["scopes"])
        if role is None:
            return None
        label = f"key {row['id']}"
        return Person(f"{name} ({label})" if name else label, row["tenant"], role, hash_key(key))

    async def begin(self, person: Person) -> str:
        """Begin a session; return its token, which is not stored."""
        token = secrets.token_urlsafe(32)
        await self._database.execute(
            *SQL.begin_session(
                token_hash=_hash(token),
                tenant=person.tenant,
                person=person.name,
                role=person.role,
                key_hash=person.key_hash,
                id_token=None if person.id_token is None else _hint(person.id_token),
                hours=self._hours,
            )
        )
        return token

    async def find(self, token: str) -> Person | None:
        """Return the person of a session; None once it, or the key that it began with, has ended."""
        token_hash = _hash(token)
        row = await self._database.fetchrow(*SQL.session(token_hash=token_hash, idle_hours=self._idle_hours))
        if row is None:
            return None
        role = role_of_scopes(row["scopes"]) if row["by_key"] else row["role"]
        if role is None:
            return None
        if row["is_due"]:
            await self._database.execute(*SQL.see_session(token_hash=token_hash))
        return Person(row["person"], row["tenant"], role)

    async def end(self, token: str) -> str | None:
        """End a session; return its ID token, or an empty text for a long one, or None if a key began it."""
        id_token = await self._database.fetchval(*SQL.end_session(token_hash=_hash(token)))
        return None if id_token is None else str(id_token)

    async def begin_sign_in(self, pending: PendingSignIn, state: str, browser: str) -> None:
        """Remember a sign-in at an identity provider, for a browser with the token `browser`."""
        await self._database.execute(
            *SQL.begin_sign_in(
                state_hash=_hash(state),
                browser_hash=_hash(browser),
                nonce=pending.nonce,
                verifier=pending.verifier,
                destination=pending.destination,
            )
        )

    async def take_sign_in(self, state: str, browser: str) -> PendingSignIn | None:
        """Return a sign-in of a browser once; None if there is none, or it began too long ago."""
        row = await self._database.fetchrow(
            *SQL.take_sign_in(state_hash=_hash(state), browser_hash=_hash(browser), seconds=SIGN_IN_SECONDS)
        )
        return None if row is None else PendingSignIn(row["nonce"], row["verifier"], row["destination"])

    async def delete_ended(self) -> None:
        """Delete the rows of sessions that have ended, and of sign-ins that were not completed."""
        await self._database.execute(*SQL.delete_ended_sessions(idle_hours=self._idle_hours))
        await self._database.execute(*SQL.delete_old_sign_ins(seconds=SIGN_IN_SECONDS))


def _hint(id_token: str) -> str:
    return id_token if len(id_token) <= MAX_HINT else ""


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
