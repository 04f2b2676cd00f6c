"""Tags, pages and views, which the requests and answers of all resource types share."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, Field, StringConstraints, ValidationError

from services.engine.domain.members import (
    ColumnName,
    Domain,
    ExplorationConfig,
    Influence,
    KmsKeyArn,
    ParameterName,
    Parameters,
    ParameterValue,
    RankingInfluence,
    RoleArn,
    S3Location,
    ShortText,
)
from services.engine.domain.state import ResourceState, Unreadable
from shared.aws import WireModel
from shared.aws.members import ArnText, ResourceName, Text, Timestamp

MAX_TAGS = 50
"""Tags of a resource; a limit of Amazon Personalize."""

_TAG_PATTERN = r"^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$"


def _unreserved(text: str) -> str:
    if text.startswith("aws:"):
        raise ValueError("must not begin with aws:, which Amazon Web Services reserves for its own tags")
    return text


_Unreserved = AfterValidator(_unreserved)
TagKey = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=_TAG_PATTERN), _Unreserved]
TagValue = Annotated[str, StringConstraints(max_length=256, pattern=_TAG_PATTERN), _Unreserved]


class Tag(WireModel):
    """A key and a value that label a resource."""

    tag_key: TagKey
    tag_value: TagValue


class Tagged(WireModel):
    """A request that can have tags."""

    tags: Annotated[tuple[Tag, ...], Field(max_length=200)] | None = None


class Page(WireModel):
    """A request for one page of a list."""

    next_token: Annotated[str, StringConstraints(max_length=1500)] | None = None
    max_results: Annotated[int, Field(ge=1, le=100)] = 100


class View(WireModel):
    """The answer's view of a resource: its columns, its document and computed members.

    `arn_member` and `name_member` are the names that the resource type has for its ARN and its name.
    """

    arn_member: ClassVar[str]
    name_member: ClassVar[str] = "name"

    creation_date_time: Timestamp
    last_updated_date_time: Timestamp

    @classmethod
    def of(cls, resource: ResourceState, **computed: Any) -> Self:
        """Return the view of a resource; `computed` members have their names on the wire.

        Raise Unreadable if the answer cannot have what is stored.
        """
        columns = {
            cls.arn_member: str(resource.arn),
            cls.name_member: resource.name,
            "status": resource.status.value,
            "failureReason": resource.failure_reason,
            "creationDateTime": resource.created_at,
            "lastUpdatedDateTime": resource.updated_at,
        }
        try:
            return cls.model_validate(columns | resource.document.to_json() | computed)
        except ValidationError as error:
            raise Unreadable.because(resource, error) from None


class StatusView(View):
    """A view of a resource with a status. Only schemas have none."""

    status: str
    failure_reason: str | None = None


def described_members(request: WireModel, *excluded: str) -> dict[str, Any]:
    """Return the members of a request that Describe answers with, as JSON.

    `excluded` are the Python names of members to leave out, in addition to names and tags.
    """
    return request.model_dump(
        mode="json", by_alias=True, exclude_none=True, exclude={"tags", "name", "job_name", *excluded}
    )


__all__ = [
    "ArnText",
    "ColumnName",
    "Domain",
    "ExplorationConfig",
    "Influence",
    "KmsKeyArn",
    "Page",
    "ParameterName",
    "ParameterValue",
    "Parameters",
    "RankingInfluence",
    "ResourceName",
    "RoleArn",
    "S3Location",
    "ShortText",
    "StatusView",
    "Tag",
    "TagKey",
    "Tagged",
    "Text",
    "Timestamp",
    "View",
    "WireModel",
    "described_members",
]
