"""The members that requests share, with the limits that Amazon Personalize documents for them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints

from services.engine.domain.resources import Resource, Status
from shared.aws import WireModel
from shared.aws.members import ArnText, ResourceName, Text, Timestamp
from shared.aws.personalize import exploration

MOST_TAGS = 50

RoleArn = Annotated[
    str,
    StringConstraints(max_length=256, pattern=r"^arn:([a-z\d-]+):iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+$"),
]
KmsKeyArn = Annotated[str, StringConstraints(max_length=2048, pattern=r"^arn:aws.*:kms:.*:[0-9]{12}:key/.*$")]
S3Location = Annotated[Text, StringConstraints(max_length=256, pattern=r"^(s3|http|https)://.+$")]
Domain = Literal["ECOMMERCE", "VIDEO_ON_DEMAND"]
ShortText = Annotated[Text, StringConstraints(max_length=256)]
ColumnName = Annotated[str, StringConstraints(max_length=150, pattern=r"^[A-Za-z_][A-Za-z\d_]*$")]
ParameterName = Annotated[Text, StringConstraints(max_length=256)]
ParameterValue = Annotated[Text, StringConstraints(max_length=1000)]
Parameters = Annotated[dict[ParameterName, ParameterValue], Field(max_length=100)]
ExplorationConfig = Annotated[Parameters, AfterValidator(exploration.checked)]
Influence = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
RankingInfluence = dict[Literal["POPULARITY", "FRESHNESS"], Influence]

_TAG_PATTERN = r"^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$"


def _unreserved(text: str) -> str:
    if text.startswith("aws:"):
        raise ValueError("must not begin with aws:, which Amazon Web Services keep for tags of their own")
    return text


_Unreserved = AfterValidator(_unreserved)
TagKey = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=_TAG_PATTERN), _Unreserved]
TagValue = Annotated[str, StringConstraints(max_length=256, pattern=_TAG_PATTERN), _Unreserved]


class Tag(WireModel):
    """A label that the owner gives a resource."""

    tag_key: TagKey
    tag_value: TagValue


class Tagged(WireModel):
    """A request that may carry tags."""

    tags: Annotated[tuple[Tag, ...], Field(max_length=200)] | None = None


class Update(WireModel):
    """The newest update of a resource: when it was made, and that it is in force."""

    status: str
    creation_date_time: Timestamp
    last_updated_date_time: Timestamp
    failure_reason: str | None = None


def active_update(**changed: Any) -> dict[str, Any]:
    """An update that is in force at once, as a document keeps it."""
    now = datetime.now(UTC).timestamp()
    return changed | {"status": Status.ACTIVE, "creationDateTime": now, "lastUpdatedDateTime": now}


class Page(WireModel):
    """A request for one page of a list."""

    next_token: Annotated[str, StringConstraints(max_length=1500)] | None = None
    max_results: Annotated[int, Field(ge=1, le=100)] = 100


class View(WireModel):
    """What Describe or List shows of a resource: its columns, its document, and what is said beside."""

    arn_member: ClassVar[str]
    name_member: ClassVar[str] = "name"

    creation_date_time: Timestamp
    last_updated_date_time: Timestamp

    @classmethod
    def of(cls, resource: Resource, **more: Any) -> Self:
        """The resource as this view shows it; `more` is in the wire's spelling."""
        known = {
            cls.arn_member: resource.arn,
            cls.name_member: resource.name,
            "status": resource.status,
            "failureReason": resource.failure_reason,
            "creationDateTime": resource.created_at,
            "lastUpdatedDateTime": resource.updated_at,
        }
        return cls.model_validate(known | resource.document | more)


class StatusView(View):
    """A view of what has a status; schemas have none."""

    status: str
    failure_reason: str | None = None


def document(request: WireModel, *left_out: str) -> dict[str, Any]:
    """The members of a request that Describe echoes, in the wire's spelling."""
    return request.model_dump(
        mode="json", by_alias=True, exclude_none=True, exclude={"tags", "name", "job_name", *left_out}
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
    "Update",
    "View",
    "WireModel",
    "active_update",
    "document",
]
