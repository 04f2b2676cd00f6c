"""The base classes of the typed states."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, ValidationError
from pydantic.alias_generators import to_camel

from services.engine.domain.resources import DELETING, NOUNS, UNFINISHED, Resource, ResourceType, Status
from shared.aws import Arn, WireError
from shared.errors import Permanent


def _parsed(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return Arn.parse(value)
    except WireError as error:
        # A stored ARN that cannot be parsed is no fault of the caller.
        raise ValueError(error.message) from None


ArnValue = Annotated[Arn, BeforeValidator(_parsed), PlainSerializer(str, return_type=str)]
"""An ARN that Endcap has written: a string in JSON, an `Arn` in Python."""


class Unreadable(Permanent):
    """A stored resource whose document or facts are not those of its type.

    Another version of the engine has stored it, or a person has.
    """

    @classmethod
    def because(cls, resource: Resource | ResourceState, error: ValidationError) -> Self:
        """Return the error with the name of the resource, the reason, and what to do."""
        reasons = "; ".join(
            f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in error.errors()
        )
        return cls(
            f"The stored {NOUNS[resource.type]} {resource.arn} cannot be read ({reasons}). Start the version "
            f"of Endcap that stored it, or delete the row {resource.id} of the table engine.resources and "
            "create the resource again."
        )


class _StoredObject(BaseModel):
    """A JSON object in a jsonb column. Members that this version does not declare are kept."""

    model_config = ConfigDict(frozen=True, extra="allow", populate_by_name=True, defer_build=True)

    def to_json(self) -> dict[str, Any]:
        """Return the object as it is stored, without members that are None."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)

    def merged(self, members: Mapping[str, Any]) -> Self:
        """Return the object with these members, named as in Python, added or replaced.

        Raise pydantic.ValidationError if one has another type than the class declares.
        """
        return type(self).model_validate(dict(self) | dict(members))


class Document(_StoredObject):
    """The column `document`: the members of a resource that Describe answers with, named as on the wire."""

    model_config = ConfigDict(alias_generator=to_camel)


class Facts(_StoredObject):
    """The column `facts`: what only Endcap needs to know of a resource."""

    tags: dict[str, str] | None = None


class ResourceState(BaseModel):
    """One resource: the columns of its row, and its document and facts as objects of its type."""

    model_config = ConfigDict(frozen=True, defer_build=True)
    type: ClassVar[ResourceType]

    id: int
    account: str
    tenant: str | None
    path: str
    parent: str | None
    arn: ArnValue
    name: str
    status: Status
    failure_reason: str | None
    document: Document
    facts: Facts = Field(default_factory=Facts)
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, resource: Resource) -> Self:
        """Parse a row; raise Unreadable if its document or facts are not those of the type."""
        try:
            return cls.model_validate(
                {name: getattr(resource, name) for name in ResourceState.model_fields if name != "type"}
            )
        except ValidationError as error:
            raise Unreadable.because(resource, error) from None

    @property
    def is_deleting(self) -> bool:
        """Return whether the resource was deleted but is still listed."""
        return self.status in DELETING

    @property
    def is_unfinished(self) -> bool:
        """Return whether a worker still has to bring the resource to its final status."""
        return self.status in UNFINISHED

    @property
    def owner(self) -> str:
        """Return the tenant. Only schemas have none, because they belong to the account."""
        assert self.tenant is not None
        return self.tenant
