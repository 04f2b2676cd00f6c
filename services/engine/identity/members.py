"""The requests of IAM and STS."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from shared.aws.query import QueryModel

RoleName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_+=,.@-]{1,64}$")]
PolicyName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_+=,.@-]{1,128}$")]
Path = Annotated[str, StringConstraints(pattern=r"^/(?:[!-~]+/)?$", max_length=512)]
PolicyArn = Annotated[
    str, StringConstraints(pattern=r"^arn:[a-z\d-]+:iam::[^:]*:policy/[!-~]+$", max_length=2048)
]
Document = Annotated[str, StringConstraints(min_length=1, max_length=131_072)]
Description = Annotated[str, StringConstraints(max_length=1_000)]


class Tag(QueryModel):
    """A tag; it is kept and has no effect."""

    key: str = Field(min_length=1, max_length=128)
    value: str = Field(max_length=256)


class Empty(QueryModel):
    """A request without parameters."""


class Paged(QueryModel):
    """A request for a page: at most `max_items` after `marker`."""

    max_items: int = Field(100, ge=1, le=1_000)
    marker: str = ""
    path_prefix: str = "/"


class RoleRequest(QueryModel):
    """A request about one role."""

    role_name: RoleName


class CreateRole(RoleRequest):
    """A new role."""

    assume_role_policy_document: Document
    path: Path = "/"
    description: Description | None = None
    max_session_duration: int = Field(3_600, ge=3_600, le=43_200)
    tags: list[Tag] = Field(default=[], max_length=50)


class UpdateAssumeRolePolicy(RoleRequest):
    """A role's new trust policy."""

    policy_document: Document


class CreateServiceLinkedRole(QueryModel):
    """A new role of a service of AWS."""

    aws_service_name: str = Field(alias="AWSServiceName", pattern=r"^[A-Za-z0-9_+=,.@-]{1,128}$")
    description: Description | None = None
    custom_suffix: str = Field("", pattern=r"^[A-Za-z0-9_+=,.@-]{0,64}$")


class RolePolicyRequest(RoleRequest):
    """A request about one policy inside of a role."""

    policy_name: PolicyName


class PutRolePolicy(RolePolicyRequest):
    """A policy inside of a role."""

    policy_document: Document


class ListOfRole(Paged, RoleRequest):
    """A page of the policies of a role."""


class AttachmentRequest(RoleRequest):
    """A role and a policy that is attached to it."""

    policy_arn: PolicyArn


class PolicyRequest(QueryModel):
    """A request about one policy."""

    policy_arn: PolicyArn


class PolicyVersionRequest(PolicyRequest):
    """A request about one version of a policy; there is only `v1`."""

    version_id: str


class CreatePolicy(QueryModel):
    """A new policy."""

    policy_name: PolicyName
    policy_document: Document
    path: Path = "/"
    description: Description | None = None
    tags: list[Tag] = Field(default=[], max_length=50)
