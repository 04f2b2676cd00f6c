"""One call of the control plane: who calls, what they see, and what every operation does alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

from services.engine.domain.resources import NOUNS, NewResource, Resource, Status, Type
from services.engine.personalize import quotas
from services.engine.personalize.members import MOST_TAGS, Page, Tag, Tagged, View
from services.engine.settings import Settings
from services.engine.store.resources import Resources
from shared import jobs
from shared.aws import Arn, PageTokens, WireError, invalid_input, not_found

if TYPE_CHECKING:
    from shared.events import Event
    from shared.events.topics import Topic

ViewType = TypeVar("ViewType", bound=View)


class EventPublisher(Protocol):
    """Publishes events with the transaction at hand, or the absence of what an event stood for."""

    async def publish(self, topic: Topic, event: Event) -> None:
        """Publish the event when the transaction commits."""

    async def publish_tombstone(self, topic: Topic, tenant: str, key: str) -> None:
        """Publish that the state at the key is gone."""


@dataclass(frozen=True, slots=True)
class OperationContext:
    """What a handler works with. All changes of one call are one transaction.

    `access_key_id` is the access key id of a call whose signature was checked. A call that only `reads` sees
    resources that are being deleted; one that changes anything can't use them.
    """

    resources: Resources
    settings: Settings
    tokens: PageTokens
    events: EventPublisher
    access_key_id: str = ""
    reads: bool = False

    async def find(self, arn: str, kind: Type, *, lock: bool = False) -> Resource:
        """The resource that an ARN names, whatever its account and region.

        ResourceNotFoundException, or ResourceInUseException for a change of what is being deleted.
        """
        prefix = "solution" if kind is Type.SOLUTION_VERSION else kind.value
        parsed = Arn.parse(arn, prefix)
        resource = await self.resources.get(f"{prefix}/{parsed.path}", lock=lock)
        if resource is None or resource.type is not kind:
            raise not_found(f"There is no {NOUNS[kind]} with the ARN {arn}.")
        return self._usable(resource)

    async def find_any(self, arn: str, *, lock: bool = False) -> Resource:
        """The resource of whatever type that an ARN names; ResourceNotFoundException."""
        parsed = Arn.parse(arn)
        resource = await self.resources.get(f"{parsed.kind}/{parsed.path}", lock=lock)
        if resource is None:
            raise not_found(f"There is no resource with the ARN {arn}.")
        return self._usable(resource)

    def _usable(self, resource: Resource) -> Resource:
        if resource.is_deleting and not self.reads:
            raise in_use(f"The {NOUNS[resource.type]} {resource.arn} is being deleted: {resource.status}.")
        return resource

    async def create(self, new: NewResource, request: Tagged | None = None) -> Resource:
        """Store a new resource.

        ResourceAlreadyExistsException when its name is taken, LimitExceededException beyond the quota.
        """
        await quotas.check(new, self.resources, self.settings)
        facts = new.facts
        if request is not None and request.tags:
            facts = facts | {"tags": merge_tags({}, request.tags)}
        stored = NewResource(
            new.type, new.path, new.name, new.tenant, new.document, new.parent, new.status, facts
        )
        resource = await self.resources.add(stored)
        if resource is None:
            message = f"Another {NOUNS[new.type]} with the name {new.name} already exists."
            raise WireError("ResourceAlreadyExistsException", message)
        return resource

    async def enqueue(self, resource: Resource) -> None:
        """Queue the job of a resource that workers bring to its end."""
        key = str(resource.id)
        payload = {"resource": resource.id}
        await jobs.enqueue(
            self.resources.connection, resource.type.value, key, payload, tenant=resource.owner
        )

    async def list_page(
        self, request: Page, kind: Type, view: type[ViewType], parent: Resource | None = None
    ) -> tuple[list[ViewType], str | None]:
        """One page of the resources of a type, and the token of the next one."""
        of = f"of {parent.path}" if parent else "of everything"
        listed = f"the list of {kind.value} {of} in account {self.resources.account}"
        before = self.tokens.read(listed, request.next_token) if request.next_token else None
        found = await self.resources.page(
            kind, parent.path if parent else None, before, request.max_results + 1
        )
        shown, more = found[: request.max_results], len(found) > request.max_results
        token = self.tokens.issue(listed, shown[-1].id) if more else None
        return [view.of(resource) for resource in shown], token

    async def check_pending_limit(self, limit: int, tenant: str, kind: Type) -> None:
        """LimitExceededException when a tenant has so many unfinished resources of a type."""
        if await self.resources.count_unfinished(tenant, kind) >= limit:
            message = f"More than {limit} resources with PENDING or IN_PROGRESS status."
            raise WireError("LimitExceededException", message)


def merge_tags(before: Mapping[str, str], tags: Sequence[Tag]) -> dict[str, str]:
    """Tags with others added; TooManyTagsException beyond 50, InvalidInputException for a key given twice."""
    added = {tag.tag_key: tag.tag_value for tag in tags}
    if len(added) < len(tags):
        raise invalid_input("tags: each tagKey may be given once.")
    after = {**before, **added}
    if len(after) > MOST_TAGS:
        message = f"A resource has at most {MOST_TAGS} tags, not {len(after)}."
        raise WireError("TooManyTagsException", message)
    return after


def in_use(message: str) -> WireError:
    """The resource can't be changed or deleted right now."""
    return WireError("ResourceInUseException", message)


def require_active(resource: Resource) -> None:
    """ResourceInUseException while a resource is being made, InvalidInputException when that failed."""
    if resource.status == Status.ACTIVE:
        return
    message = f"The {NOUNS[resource.type]} {resource.arn} is not ACTIVE but {resource.status}."
    ended = resource.status in {Status.FAILED, Status.STOPPED}
    code = "InvalidInputException" if ended else "ResourceInUseException"
    raise WireError(code, message)


def require_model(version: Resource) -> None:
    """The same of a solution version; InvalidInputException too when its model was cleared away."""
    require_active(version)
    if version.facts.get("retired"):
        raise invalid_input(
            f"The model of {version.arn} was cleared away: a solution keeps its newest models and those in "
            "use. Name a newer version, or train one."
        )


def check_no_dependents(children: Sequence[Resource], parent: Resource) -> None:
    """ResourceInUseException when something still depends on what is to be deleted."""
    if children:
        names = ", ".join(child.arn for child in children[:3])
        how = "wait until that is deleted" if all(c.is_deleting for c in children) else "delete that first"
        raise in_use(f"The {NOUNS[parent.type]} {parent.arn} is in use by {names}; {how}.")
