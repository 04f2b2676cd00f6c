"""Resources in Postgres. A `Resources` lives as long as one transaction, or one read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from services.engine.domain.resources import (
    DELETE_PENDING_SECONDS,
    DELETE_SECONDS,
    UNFINISHED,
    NewResource,
    Resource,
    Status,
    Type,
    arn_of,
)
from services.engine.store.statements import SQL

if TYPE_CHECKING:
    from shared.postgres import Connection, Database, Statement

_COLUMNS = tuple(Resource.__dataclass_fields__)


class Resources:
    """The resources of one account, or of one tenant in it, over a connection."""

    def __init__(
        self, connection: Connection | Database, account: str, tenant: str | None, region: str
    ) -> None:
        """See the resources of `tenant` and the account's schemas; all of the account for None."""
        self.connection = connection
        self.account = account
        self.tenant = tenant
        self.region = region

    async def add(self, new: NewResource) -> Resource | None:
        """Store a new resource; None when its path is taken."""
        row = await self.connection.fetchrow(
            *SQL.add_resource(
                account=self.account,
                tenant=new.tenant,
                type=new.type.value,
                path=new.path,
                parent=new.parent,
                arn=arn_of(self.region, self.account, new.path),
                name=new.name,
                status=new.status,
                document=new.document,
                facts=new.facts,
            )
        )
        return from_row(row)

    async def get(self, path: str, *, lock: bool = False) -> Resource | None:
        """The resource at a path; `lock` holds it until the transaction ends."""
        statement = SQL.locked_resource if lock else SQL.resource
        return from_row(
            await self.connection.fetchrow(
                *statement(account=self.account, path=path, tenant=self.tenant, delete_seconds=DELETE_SECONDS)
            )
        )

    async def page(self, kind: Type, parent: str | None, before: int | None, limit: int) -> list[Resource]:
        """At most `limit` resources of a type that are older than the id `before`, newest first."""
        rows = await self.connection.fetch(
            *SQL.resources(
                account=self.account,
                type=kind.value,
                tenant=self.tenant,
                parent=parent,
                before=before,
                limit=limit,
                delete_seconds=DELETE_SECONDS,
            )
        )
        return [found for row in rows if (found := from_row(row))]

    async def has_name(self, kind: Type, name: str) -> bool:
        """Whether a resource of a type has the name; for those whose path says something else."""
        found = await self.connection.fetchval(
            *SQL.resource_named(account=self.account, type=kind.value, name=name)
        )
        return found is not None

    async def children(self, parent: str, *types: Type, with_deleting: bool = False) -> list[Resource]:
        """The resources of these types below a parent, newest first; `with_deleting`: also deleted ones."""
        rows = await self.connection.fetch(
            *SQL.children(
                account=self.account,
                parent=parent,
                types=[kind.value for kind in types],
                with_deleting=with_deleting,
                delete_seconds=DELETE_SECONDS,
            )
        )
        return [found for row in rows if (found := from_row(row))]

    async def has_at_least(self, limit: int, kind: Type, tenant: str | None) -> bool:
        """Return whether the account, or one of its tenants, has so many resources of a type."""
        count = await self.connection.fetchval(
            *SQL.count_resources(account=self.account, type=kind.value, tenant=tenant, limit=limit)
        )
        return int(count) >= limit

    async def count_unfinished(self, tenant: str, kind: Type) -> int:
        """How many resources of a type are pending or in progress."""
        return int(
            await self.connection.fetchval(
                *SQL.count_unfinished(tenant=tenant, type=kind.value, statuses=list(UNFINISHED))
            )
        )

    async def count_with_members(self, kind: Type, **members: Any) -> int:
        """How many resources of a type have these members in their document."""
        return int(
            await self.connection.fetchval(
                *SQL.count_with_document(account=self.account, type=kind.value, members=members)
            )
        )

    async def update(
        self,
        resource: Resource,
        *,
        status: str | None = None,
        document: dict[str, Any] | None = None,
        facts: dict[str, Any] | None = None,
        failure_reason: str | None = None,
    ) -> Resource:
        """Merge members into the document and the facts, and set the status."""
        updated = from_row(
            await self.connection.fetchrow(
                *SQL.update_resource(
                    id=resource.id,
                    status=status or resource.status,
                    failure_reason=failure_reason,
                    document=resource.document | (document or {}),
                    facts=resource.facts | (facts or {}),
                )
            )
        )
        assert updated is not None
        return updated

    async def set_parent(self, resource: Resource, parent: str | None) -> None:
        """Have lists find the resource below another one."""
        await self.connection.execute(*SQL.move_resource(id=resource.id, parent=parent))

    async def set_facts(self, resource: Resource, **facts: Any) -> None:
        """Merge facts that say nothing of the resource's state, such as its tags."""
        await self.connection.execute(*SQL.set_facts(id=resource.id, facts=resource.facts | facts))

    async def begin_deletion(self, resource: Resource) -> None:
        """Show the resource as being deleted for `DELETE_SECONDS`; then it is gone, whoever runs or not."""
        await self.update(resource, status=Status.DELETE_PENDING)

    async def end_deletions(self) -> None:
        """Delete the rows of the account that are shown no more, so that their names are free."""
        await self.connection.execute(*SQL.end_deletions(account=self.account, delete_seconds=DELETE_SECONDS))

    async def delete(self, resource: Resource) -> None:
        """Delete the row at once, of a resource that nobody waits for."""
        await self.connection.execute(*SQL.delete_resource(id=resource.id))

    async def lock_account(self) -> None:
        """Wait for other changes of this account that have to be counted first."""
        await self.connection.execute(*SQL.lock_account(account=self.account))

    async def used_tenant_ids(self, wanted: str) -> set[str]:
        """The tenant ids that begin so and were ever used."""
        return {row["id"] for row in await self.connection.fetch(*SQL.tenant_ids(wanted=wanted))}

    async def add_tenant(self, tenant: str, group: str) -> None:
        """A tenant for a new dataset group."""
        await self.connection.execute(
            *SQL.add_tenant(tenant=tenant, account=self.account, dataset_group=group)
        )

    async def retire_tenant(self, tenant: str) -> None:
        """End a tenant: its keys and its buckets go, its id stays used."""
        await self.connection.execute(*SQL.retire_tenant(tenant=tenant))
        await self.connection.execute(*SQL.drop_tenant_keys(tenant=tenant))
        await self.connection.execute(*SQL.drop_tenant_buckets(tenant=tenant))

    async def discard(self, prefix: str, hours: float) -> None:
        """Have a prefix of the data bucket emptied after a while."""
        await self.connection.execute(*SQL.add_garbage(prefix=prefix, hours=hours))


def in_account_of(connection: Connection | Database, resource: Resource) -> Resources:
    """The resources of the account that one belongs to, as its tenant sees them."""
    region = resource.arn.split(":")[3]
    return Resources(connection, resource.account, resource.tenant, region)


async def by_id(connection: Connection | Database, identifier: int) -> Resource | None:
    """The resource of a job; None when it was deleted."""
    return from_row(await connection.fetchrow(*SQL.resource_by_id(id=identifier)))


async def lock_unfinished(connection: Connection, identifier: int) -> Resource | None:
    """The resource of a job, held until the transaction ends; None when it is at its end, or gone.

    One that is being stopped comes to its end here.
    """
    resource = from_row(await connection.fetchrow(*SQL.unfinished_resource(id=identifier)))
    if resource is not None and resource.status == Status.STOPPING:
        await in_account_of(connection, resource).update(resource, status=Status.STOPPED)
        return None
    return resource


async def should_run(database: Database, identifier: int) -> bool:
    """Whether a job's resource was neither deleted nor told to stop."""
    return bool(await database.fetchval(*SQL.is_wanted(id=identifier)))


async def lock_due_solutions(connection: Connection) -> list[Resource]:
    """Solutions whose automatic training is due, held so that one worker alone begins it."""
    return await _lock_due(connection, SQL.solutions_due)


async def lock_due_recommenders(connection: Connection) -> list[Resource]:
    """Recommenders whose model is a week old, held so that one worker alone trains them."""
    return await _lock_due(connection, SQL.recommenders_due)


async def lock_versions_with_new_items(connection: Connection, minutes: float) -> list[Resource]:
    """Versions that new items wait for, held so that one worker alone renews their models."""
    return await _lock_due(connection, SQL.versions_to_renew, minutes=minutes)


async def _lock_due(connection: Connection, statement: Statement, **values: Any) -> list[Resource]:
    """The rows of a statement that locks what is due, looked at once more when they are held.

    The first look may be older than the end of the transaction that held them before and made of them
    what was due: a row that it did not change is given all the same.
    """
    due = await connection.fetch(*statement(ids=None, **values))
    still = await connection.fetch(*statement(ids=[row["id"] for row in due], **values))
    return [found for row in still if (found := from_row(row))]


async def list_jobs(
    connection: Connection | Database, account: str, tenant: str | None, limit: int
) -> Sequence[dict[str, Any]]:
    """What the newest jobs of an account or tenant are at."""
    rows = await connection.fetch(*SQL.running_jobs(account=account, tenant=tenant, limit=limit))
    return [dict(row) for row in rows]


def from_row(row: Any) -> Resource | None:
    """Make the resource of a row of the table; None without a row.

    A row says when its deletion began; what is shown is worked out from that, by Postgres's clock.
    """
    if row is None:
        return None
    values = {name: row[name] for name in _COLUMNS}
    if values["status"] == Status.DELETE_PENDING and row.get("age_seconds", 0) >= DELETE_PENDING_SECONDS:
        values["status"] = Status.DELETE_IN_PROGRESS.value
    return Resource(**{**values, "type": Type(values["type"])})
