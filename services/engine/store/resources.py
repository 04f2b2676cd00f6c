"""The resources of the control plane in Postgres. They are parsed into their typed states here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from services.engine.domain.resources import (
    DELETE_SECONDS,
    UNFINISHED,
    NewResource,
    Resource,
    ResourceType,
    Status,
    resource_arn,
)
from services.engine.domain.state import Document, Facts, ResourceState
from services.engine.store.rows import State, from_row, readable
from services.engine.store.statements import SQL
from shared.aws import Arn

if TYPE_CHECKING:
    from shared.postgres import Connection, Database


class Resources:
    """The resources of one account, or of one of its tenants, during a transaction or a read."""

    def __init__(
        self, connection: Connection | Database, account: str, tenant: str | None, region: str
    ) -> None:
        """See the resources of a tenant and the account's schemas, or without a tenant all of the account."""
        self.connection = connection
        self.account = account
        self.tenant = tenant
        self.region = region

    async def add(self, new: NewResource) -> Resource | None:
        """Insert a row; return it, or None if its path is taken."""
        row = await self.connection.fetchrow(
            *SQL.add_resource(
                account=self.account,
                tenant=new.tenant,
                type=new.type.value,
                path=new.path,
                parent=new.parent,
                arn=str(resource_arn(self.region, self.account, new.path)),
                name=new.name,
                status=new.status,
                document=new.document,
                facts=new.facts,
            )
        )
        return from_row(row)

    async def get(self, path: str, *, lock: bool = False) -> Resource | None:
        """Return the row at a path, or None; `lock` holds it until the transaction ends."""
        statement = SQL.locked_resource if lock else SQL.resource
        return from_row(
            await self.connection.fetchrow(
                *statement(account=self.account, path=path, tenant=self.tenant, delete_seconds=DELETE_SECONDS)
            )
        )

    async def load(self, state: type[State], path: str, *, lock: bool = False) -> State | None:
        """Return the resource at a path, or None if there is none of this type.

        `lock` holds its row until the transaction ends. Raise Unreadable if the row cannot be parsed.
        """
        resource = await self.get(path, lock=lock)
        return None if resource is None or resource.type is not state.type else state.of(resource)

    async def load_parent(self, state: type[State], child: ResourceState) -> State | None:
        """Return the resource that another one is below, held until the transaction ends."""
        return None if child.parent is None else await self.load(state, child.parent, lock=True)

    async def list_page(
        self, state: type[State], parent: str | None, before: int | None, limit: int
    ) -> list[State]:
        """Return at most `limit` resources of a type that are older than the id `before`, newest first.

        Unreadable rows are left out and logged as errors.
        """
        states: list[State] = []
        while (missing := limit - len(states)) > 0:
            rows = await self.connection.fetch(
                *SQL.resources(
                    account=self.account,
                    type=state.type.value,
                    tenant=self.tenant,
                    parent=parent,
                    before=before,
                    limit=missing,
                    delete_seconds=DELETE_SECONDS,
                )
            )
            states += readable(state.of, [resource for row in rows if (resource := from_row(row))])
            if len(rows) < missing:
                break
            before = rows[-1]["id"]
        return states

    async def has_name(self, kind: ResourceType, name: str) -> bool:
        """Return whether a resource of a type has a name. For types whose path does not contain the name."""
        match = await self.connection.fetchval(
            *SQL.resource_named(account=self.account, type=kind.value, name=name)
        )
        return match is not None

    async def children(
        self, parent: str, *types: ResourceType, with_deleting: bool = False
    ) -> list[Resource]:
        """Return the rows of some types below a parent, newest first.

        `with_deleting` includes deleted ones.
        """
        rows = await self.connection.fetch(
            *SQL.children(
                account=self.account,
                parent=parent,
                types=[kind.value for kind in types],
                with_deleting=with_deleting,
                delete_seconds=DELETE_SECONDS,
            )
        )
        return [resource for row in rows if (resource := from_row(row))]

    async def list_children(
        self, state: type[State], parent: str, *, with_deleting: bool = False
    ) -> list[State]:
        """Return the resources of a type below a parent, newest first.

        Raise Unreadable if the row of one cannot be parsed.
        """
        rows = await self.children(parent, state.type, with_deleting=with_deleting)
        return [state.of(row) for row in rows]

    async def list_readable_children(self, state: type[State], parent: str) -> list[State]:
        """Return the resources of a type below a parent, newest first.

        Unreadable rows are left out and logged as errors.
        """
        return readable(state.of, await self.children(parent, state.type))

    async def has_at_least(self, limit: int, kind: ResourceType, tenant: str | None) -> bool:
        """Return whether the account, or one of its tenants, has at least `limit` resources of a type."""
        count = await self.connection.fetchval(
            *SQL.count_resources(account=self.account, type=kind.value, tenant=tenant, limit=limit)
        )
        return int(count) >= limit

    async def count_unfinished(self, tenant: str, kind: ResourceType) -> int:
        """Return how many resources of a type are unfinished."""
        return int(
            await self.connection.fetchval(
                *SQL.count_unfinished(tenant=tenant, type=kind.value, statuses=list(UNFINISHED))
            )
        )

    async def count_with_members(self, kind: ResourceType, **members: str) -> int:
        """Return how many resources of a type have these members in their document."""
        return int(
            await self.connection.fetchval(
                *SQL.count_with_document(account=self.account, type=kind.value, members=members)
            )
        )

    async def set_status(self, row: Resource, status: Status, failure_reason: str | None = None) -> None:
        """Set the status and the failure reason of a row, which need not be readable."""
        await self.connection.execute(
            *SQL.update_resource(
                id=row.id,
                status=status,
                failure_reason=failure_reason,
                document=row.document,
                facts=row.facts,
            )
        )

    async def save(
        self,
        resource: State,
        *,
        status: Status | None = None,
        failure_reason: str | None = None,
        document: Document | None = None,
        facts: Facts | None = None,
    ) -> State:
        """Replace what is given, and the failure reason in any case; return the resource as it is then."""
        row = await self.connection.fetchrow(
            *SQL.update_resource(
                id=resource.id,
                status=status or resource.status,
                failure_reason=failure_reason,
                document=(document or resource.document).to_json(),
                facts=(facts or resource.facts).to_json(),
            )
        )
        updated = from_row(row)
        assert updated is not None
        return type(resource).of(updated)

    async def set_parent(self, resource: ResourceState, parent: str | None) -> None:
        """Move a resource below another one, so that List finds it there."""
        await self.connection.execute(*SQL.move_resource(id=resource.id, parent=parent))

    async def set_tags(self, resource: ResourceState, tags: dict[str, str]) -> None:
        """Replace the tags, which does not count as an update of the resource."""
        await self.set_facts(resource, resource.facts.model_copy(update={"tags": tags}))

    async def set_facts(self, resource: ResourceState, facts: Facts) -> None:
        """Replace the facts, which does not count as an update of the resource."""
        await self.connection.execute(*SQL.set_facts(id=resource.id, facts=facts.to_json()))

    async def begin_deletion(self, resource: ResourceState) -> None:
        """Show the resource as being deleted for `DELETE_SECONDS`; then it no longer exists."""
        await self.save(resource, status=Status.DELETE_PENDING)

    async def end_deletions(self) -> None:
        """Delete the rows of the account whose deletion was shown, so that their names can be used again."""
        await self.connection.execute(*SQL.end_deletions(account=self.account, delete_seconds=DELETE_SECONDS))

    async def delete(self, resource: Resource | ResourceState) -> None:
        """Delete a row at once, without showing its deletion."""
        await self.connection.execute(*SQL.delete_resource(id=resource.id))

    async def lock_account(self) -> None:
        """Wait for other changes of this account that must be counted first."""
        await self.connection.execute(*SQL.lock_account(account=self.account))

    async def used_tenant_ids(self, prefix: str) -> set[str]:
        """Return the used tenant ids among `prefix` itself and those with a suffix after a dash."""
        return {row["id"] for row in await self.connection.fetch(*SQL.tenant_ids(prefix=prefix))}

    async def add_tenant(self, tenant: str, group: str) -> None:
        """Create the tenant of a new dataset group."""
        await self.connection.execute(
            *SQL.add_tenant(tenant=tenant, account=self.account, dataset_group=group)
        )

    async def drop_placements(self, tenant: str) -> list[str]:
        """Delete the placements of a tenant; return the names of those that were defined."""
        rows = await self.connection.fetch(*SQL.drop_placements(tenant=tenant))
        return [row["name"] for row in rows]

    async def retire_tenant(self, tenant: str) -> None:
        """End a tenant: delete its keys and grants, but never use its id again."""
        await self.connection.execute(*SQL.retire_tenant(tenant=tenant))
        await self.connection.execute(*SQL.drop_tenant_keys(tenant=tenant))
        await self.connection.execute(*SQL.drop_tenant_buckets(tenant=tenant))

    async def discard(self, prefix: str, hours: float) -> None:
        """Schedule the deletion of a prefix of the data bucket after `hours`."""
        await self.connection.execute(*SQL.add_garbage(prefix=prefix, hours=hours))


def in_account_of(connection: Connection | Database, resource: Resource | ResourceState) -> Resources:
    """Return the resources of the account that a resource belongs to, as its tenant sees them."""
    region = Arn.parse(str(resource.arn)).region
    return Resources(connection, resource.account, resource.tenant, region)


async def by_id(connection: Connection | Database, identifier: int) -> Resource | None:
    """Return the row of a job's resource, or None if it was deleted."""
    return from_row(await connection.fetchrow(*SQL.resource_by_id(id=identifier)))


async def lock_unfinished(connection: Connection, identifier: int) -> Resource | None:
    """Return the row of a job's resource, held until the transaction ends.

    None if it has ended or was deleted. A resource that is being stopped becomes CREATE STOPPED here.
    """
    resource = from_row(await connection.fetchrow(*SQL.unfinished_resource(id=identifier)))
    if resource is not None and resource.status == Status.STOPPING:
        await in_account_of(connection, resource).set_status(resource, Status.STOPPED)
        return None
    return resource


async def load_unfinished(connection: Connection, state: type[State], identifier: int) -> State | None:
    """Return the resource of a job as `lock_unfinished` does; raise Unreadable if it cannot be parsed."""
    row = await lock_unfinished(connection, identifier)
    return None if row is None else state.of(row)


async def should_run(database: Database, identifier: int) -> bool:
    """Return whether a job should go on: its resource was neither deleted nor stopped."""
    return bool(await database.fetchval(*SQL.should_run(id=identifier)))


async def list_jobs(
    connection: Connection | Database, account: str, tenant: str | None, limit: int
) -> Sequence[dict[str, Any]]:
    """Return the newest jobs of an account or tenant, with their progress."""
    rows = await connection.fetch(*SQL.running_jobs(account=account, tenant=tenant, limit=limit))
    return [dict(row) for row in rows]
