"""The entities that clients created with calls of IAM."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from services.engine.store.statements import SQL

if TYPE_CHECKING:
    from shared.postgres import Connection


class IdentityType(StrEnum):
    """The types of entities. The parent of the last two is a role; other entities have none."""

    ROLE = "role"
    POLICY = "policy"
    ROLE_POLICY = "role-policy"
    ATTACHMENT = "attachment"


@dataclass(frozen=True, slots=True)
class IdentityContent:
    """The content of an entity. The `policy` of a role is its trust policy."""

    policy: str = ""
    path: str = "/"
    description: str | None = None
    session_seconds: int = 3_600
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Identity:
    """An entity; an attachment is named by the ARN of its policy."""

    name: str
    content: IdentityContent
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Identities:
    """The entities of one account, in one transaction."""

    connection: Connection
    account: str

    async def lock(self) -> None:
        """Create the account's row unless it exists, and let its changes wait for each other."""
        await self.connection.execute(*SQL.add_account(account=self.account))
        await self.connection.fetchval(*SQL.lock_account(account=self.account))

    async def add(
        self, kind: IdentityType, name: str, content: IdentityContent, parent: str = ""
    ) -> Identity | None:
        """Insert an entity and return it; None if it exists."""
        values = {**self._key(kind, name, parent), "document": asdict(content)}
        return _identity(await self.connection.fetchrow(*SQL.add_identity(**values)))

    async def put(
        self, kind: IdentityType, name: str, content: IdentityContent, parent: str = ""
    ) -> Identity:
        """Insert an entity or replace its content, and return it."""
        values = {**self._key(kind, name, parent), "document": asdict(content)}
        stored = _identity(await self.connection.fetchrow(*SQL.put_identity(**values)))
        assert stored is not None
        return stored

    async def get(self, kind: IdentityType, name: str, parent: str = "") -> Identity | None:
        """Return an entity, or None if it does not exist."""
        return _identity(await self.connection.fetchrow(*SQL.identity(**self._key(kind, name, parent))))

    async def page(
        self, kind: IdentityType, parent: str | None = "", *, after: str = "", limit: int = 1_000
    ) -> list[Identity]:
        """Return the entities of a type with names after `after`, by name."""
        values = {"account": self.account, "type": kind.value, "parent": parent}
        rows = await self.connection.fetch(*SQL.identities(**values, after=after, limit=limit))
        return [each for row in rows if (each := _identity(row)) is not None]

    async def delete(self, kind: IdentityType, name: str, parent: str = "") -> bool:
        """Delete an entity; return whether it existed."""
        return (
            await self.connection.fetchval(*SQL.delete_identity(**self._key(kind, name, parent))) is not None
        )

    async def count(self) -> int:
        """Return the number of the account's entities."""
        return int(await self.connection.fetchval(*SQL.count_identities(account=self.account)))

    async def attachments_of(self, policy_arn: str) -> int:
        """Return the number of roles that a policy is attached to."""
        counted = SQL.count_attachments(account=self.account, name=policy_arn)
        return int(await self.connection.fetchval(*counted))

    def _key(self, kind: IdentityType, name: str, parent: str) -> dict[str, str]:
        return {"account": self.account, "type": kind.value, "parent": parent, "name": name}


def _identity(row: Any) -> Identity | None:
    if row is None:
        return None
    return Identity(row["name"], IdentityContent(**row["document"]), row["created_at"])
