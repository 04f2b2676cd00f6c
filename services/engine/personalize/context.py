"""The context of an operation: the resources of the caller, settings, page tokens and events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

from services.engine.domain.resources import NOUNS, NewResource, Resource, ResourceType, Status
from services.engine.domain.state import Document, Facts, ModelFacts, ResourceState, SolutionVersion
from services.engine.personalize import quotas
from services.engine.personalize.members import MAX_TAGS, Page, Tag, Tagged, View
from services.engine.settings import Settings
from services.engine.store.resources import Resources
from services.engine.store.rows import State, readable
from shared import jobs
from shared.aws import Arn, PageTokens, WireError, invalid_input, not_found

if TYPE_CHECKING:
    from shared.events import Event
    from shared.events.topics import Topic

ViewType = TypeVar("ViewType", bound=View)


class EventPublisher(Protocol):
    """Publishes events and tombstones when the transaction of an operation commits."""

    async def publish(self, topic: Topic, event: Event) -> None:
        """Publish an event when the transaction commits."""

    async def publish_tombstone(self, topic: Topic, tenant: str, key: str) -> None:
        """Publish a tombstone, which deletes the key of a compacted topic."""


@dataclass(frozen=True, slots=True)
class NewState:
    """A resource to create: the columns that the caller chooses."""

    path: str
    name: str
    tenant: str | None
    document: Document
    facts: Facts
    parent: str | None = None
    status: Status = Status.ACTIVE


@dataclass(frozen=True, slots=True)
class OperationContext:
    """The arguments that all handlers share. All changes of one call are in one transaction.

    `access_key_id` is that of a call whose signature was verified, else empty. A `read_only` call sees
    resources that are being deleted; a call that changes something cannot use them.
    """

    resources: Resources
    settings: Settings
    tokens: PageTokens
    events: EventPublisher
    access_key_id: str = ""
    read_only: bool = False

    async def find(self, arn: str | Arn, state: type[State], *, lock: bool = False) -> State:
        """Return the resource with an ARN, whatever the account and region in the ARN.

        `lock` holds its row until the transaction ends. Raise WireError: ResourceNotFoundException if there
        is no such resource, ResourceInUseException if it is being deleted and the call changes something.
        """
        kind = state.type
        prefix = "solution" if kind is ResourceType.SOLUTION_VERSION else kind.value
        parsed = Arn.parse(str(arn), prefix)
        resource = await self.resources.load(state, f"{prefix}/{parsed.path}", lock=lock)
        if resource is None:
            raise not_found(f"There is no {NOUNS[kind]} with the ARN {arn}.")
        self._check_usable(resource)
        return resource

    async def find_optional(self, arn: str | None, state: type[State]) -> State | None:
        """Return the resource with an ARN, or None without an ARN; raise WireError as `find` does."""
        return None if arn is None else await self.find(arn, state)

    async def find_any(self, arn: str, *, lock: bool = False) -> Resource:
        """Return the row of a resource of any type; raise WireError as `find` does."""
        parsed = Arn.parse(arn)
        resource = await self.resources.get(f"{parsed.kind}/{parsed.path}", lock=lock)
        if resource is None:
            raise not_found(f"There is no resource with the ARN {arn}.")
        self._check_usable(resource)
        return resource

    def _check_usable(self, resource: Resource | ResourceState) -> None:
        if resource.is_deleting and not self.read_only:
            raise in_use(f"The {NOUNS[resource.type]} {resource.arn} is being deleted: {resource.status}.")

    async def create(self, state: type[State], new: NewState, request: Tagged | None = None) -> State:
        """Store a new resource with the tags of the request, and return it.

        Raise WireError: ResourceAlreadyExistsException if the name is taken, LimitExceededException if the
        quota is reached.
        """
        await quotas.check(state.type, new.tenant, self.resources, self.settings)
        facts = new.facts.to_json()
        if request is not None and request.tags:
            facts |= {"tags": merge_tags({}, request.tags)}
        row = NewResource(
            state.type, new.path, new.name, new.tenant, new.document.to_json(), new.parent, new.status, facts
        )
        resource = await self.resources.add(row)
        if resource is None:
            raise already_exists(f"Another {NOUNS[state.type]} with the name {new.name} already exists.")
        return state.of(resource)

    async def enqueue(self, resource: ResourceState) -> None:
        """Queue the job that brings a resource to its final status."""
        key = str(resource.id)
        payload = {"resource": resource.id}
        await jobs.enqueue(
            self.resources.connection, resource.type.value, key, payload, tenant=resource.owner
        )

    async def list_page(
        self,
        request: Page,
        state: type[State],
        view: type[ViewType],
        parent: ResourceState | None = None,
    ) -> tuple[list[ViewType], str | None]:
        """Return one page of the resources of a type, newest first, and the token of the next page.

        Only resources below `parent` are listed, if there is one. Unreadable ones are left out and logged as
        errors, so a page may have fewer than `max_results`. Raise WireError
        (InvalidNextTokenException) for a token of another list.
        """
        scope = f"of {parent.path}" if parent else "of everything"
        listing = f"the list of {state.type.value} {scope} in account {self.resources.account}"
        before = self.tokens.read(listing, request.next_token) if request.next_token else None
        path = parent.path if parent else None
        resources = await self.resources.list_page(state, path, before, request.max_results + 1)
        shown, has_more = resources[: request.max_results], len(resources) > request.max_results
        token = self.tokens.issue(listing, shown[-1].id) if has_more else None
        return readable(view.of, shown), token

    async def check_pending_limit(self, limit: int, tenant: str, kind: ResourceType) -> None:
        """Raise WireError (LimitExceededException) if `limit` resources of a type are unfinished."""
        if await self.resources.count_unfinished(tenant, kind) >= limit:
            message = f"More than {limit} resources with PENDING or IN_PROGRESS status."
            raise WireError("LimitExceededException", message)


def merge_tags(tags: Mapping[str, str], added: Sequence[Tag]) -> dict[str, str]:
    """Return tags with others added; a key that exists takes the new value.

    Raise WireError: InvalidInputException if a key is added twice, TooManyTagsException above 50 tags.
    """
    new = {tag.tag_key: tag.tag_value for tag in added}
    if len(new) < len(added):
        raise invalid_input("tags: each tagKey may occur only once.")
    merged = {**tags, **new}
    if len(merged) > MAX_TAGS:
        message = f"A resource has at most {MAX_TAGS} tags, not {len(merged)}."
        raise WireError("TooManyTagsException", message)
    return merged


def in_use(message: str) -> WireError:
    """Return the error for a resource that cannot be changed or deleted now."""
    return WireError("ResourceInUseException", message)


def already_exists(message: str) -> WireError:
    """Return the error for a resource that exists already."""
    return WireError("ResourceAlreadyExistsException", message)


def require_active(resource: ResourceState) -> None:
    """Raise WireError unless a resource is ACTIVE.

    ResourceInUseException while it is being made, InvalidInputException if that failed or was stopped.
    """
    if resource.status == Status.ACTIVE:
        return
    message = f"The {NOUNS[resource.type]} {resource.arn} is not ACTIVE but {resource.status}."
    has_ended = resource.status in {Status.FAILED, Status.STOPPED}
    code = "InvalidInputException" if has_ended else "ResourceInUseException"
    raise WireError(code, message)


def require_model(version: SolutionVersion) -> ModelFacts:
    """Return the model of an ACTIVE version.

    Raise WireError as `require_active` does, and InvalidInputException if the model was deleted.
    """
    require_active(version)
    if version.facts.retired:
        raise invalid_input(
            f"The model of {version.arn} was deleted: a solution keeps its newest models and those in use. "
            "Name a newer version, or train one."
        )
    return version.facts


def check_no_dependents(dependents: Sequence[Resource | ResourceState], parent: ResourceState) -> None:
    """Raise WireError (ResourceInUseException) if a resource to delete still has dependents."""
    if dependents:
        names = ", ".join(str(dependent.arn) for dependent in dependents[:3])
        are_deleting = all(dependent.is_deleting for dependent in dependents)
        advice = "wait until that is deleted" if are_deleting else "delete that first"
        raise in_use(f"The {NOUNS[parent.type]} {parent.arn} is in use by {names}; {advice}.")
