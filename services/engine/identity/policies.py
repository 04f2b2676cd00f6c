"""Policies of IAM, and the roles that they are attached to."""

from __future__ import annotations

from typing import Any

from services.engine.identity import documents, roles
from services.engine.identity.members import (
    AttachmentRequest,
    CreatePolicy,
    ListOfRole,
    Paged,
    PolicyRequest,
    PolicyVersionRequest,
)
from services.engine.store.identities import Identities, Identity, IdentityContent, IdentityType
from shared.aws import WireError

_VERSION = "v1"


async def create_policy(identities: Identities, request: CreatePolicy) -> dict[str, Any]:
    """Create a policy. Raises WireError: EntityAlreadyExists, MalformedPolicyDocument."""
    documents.check_document(request.policy_document)
    content = IdentityContent(
        request.policy_document,
        request.path,
        request.description,
        tags={tag.key: tag.value for tag in request.tags},
    )
    policy = await identities.add(IdentityType.POLICY, request.policy_name, content)
    if policy is None:
        raise documents.already_exists("A policy", request.policy_name)
    return {"Policy": await _policy(identities, policy)}


async def get_policy(identities: Identities, request: PolicyRequest) -> dict[str, Any]:
    """Return a policy of the account. Raises WireError NoSuchEntity."""
    return {"Policy": await _policy(identities, await _existing(identities, request.policy_arn))}


async def list_policies(identities: Identities, request: Paged) -> dict[str, Any]:
    """Return a page of the account's policies; those of AWS are not listed."""
    policies = await identities.page(IdentityType.POLICY, after=request.marker, limit=request.max_items + 1)
    entries = [await _policy(identities, policy) for policy in policies]
    page = documents.page_of("Policies", entries, [policy.name for policy in policies], request.max_items)
    page["Policies"] = [each for each in page["Policies"] if each["Path"].startswith(request.path_prefix)]
    return page


async def get_policy_version(identities: Identities, request: PolicyVersionRequest) -> dict[str, Any]:
    """Return the document of a policy. Raises WireError NoSuchEntity."""
    policy = await _existing(identities, request.policy_arn)
    if request.version_id != _VERSION:
        raise documents.no_such_entity("policy version", request.version_id)
    return {"PolicyVersion": _version(policy)}


async def list_policy_versions(identities: Identities, request: PolicyRequest) -> dict[str, Any]:
    """Return the versions of a policy: there is one. Raises WireError NoSuchEntity."""
    policy = await _existing(identities, request.policy_arn)
    return {"Versions": [_version(policy)], "IsTruncated": False}


async def delete_policy(identities: Identities, request: PolicyRequest) -> None:
    """Delete a policy that no role has. Raises WireError: NoSuchEntity, DeleteConflict."""
    policy = await _existing(identities, request.policy_arn)
    if await identities.attachments_of(_arn(identities, policy)):
        raise WireError("DeleteConflict", "Cannot delete a policy attached to entities.")
    await identities.delete(IdentityType.POLICY, policy.name)


async def attach_role_policy(identities: Identities, request: AttachmentRequest) -> None:
    """Attach a policy to a role; those of AWS need not exist. Raises WireError NoSuchEntity."""
    role = await roles.existing(identities, request.role_name)
    if not documents.is_managed_by_aws(request.policy_arn):
        await _existing(identities, request.policy_arn)
    await identities.put(IdentityType.ATTACHMENT, request.policy_arn, IdentityContent(), role.name)


async def detach_role_policy(identities: Identities, request: AttachmentRequest) -> None:
    """Detach a policy from a role. Raises WireError NoSuchEntity."""
    role = await roles.existing(identities, request.role_name)
    if not await identities.delete(IdentityType.ATTACHMENT, request.policy_arn, role.name):
        raise WireError("NoSuchEntity", f"Policy {request.policy_arn} was not found.")


async def list_attached_role_policies(identities: Identities, request: ListOfRole) -> dict[str, Any]:
    """Return a page of the policies that are attached to a role. Raises WireError NoSuchEntity."""
    role = await roles.existing(identities, request.role_name)
    attached = await identities.page(
        IdentityType.ATTACHMENT, role.name, after=request.marker, limit=request.max_items + 1
    )
    entries = [{"PolicyName": documents.name_of(each.name), "PolicyArn": each.name} for each in attached]
    return documents.page_of("AttachedPolicies", entries, [each.name for each in attached], request.max_items)


async def _existing(identities: Identities, policy_arn: str) -> Identity:
    policy = await identities.get(IdentityType.POLICY, documents.name_of(policy_arn))
    if policy is None or documents.is_managed_by_aws(policy_arn):
        raise WireError("NoSuchEntity", f"Policy {policy_arn} does not exist or is not attachable.")
    return policy


def _arn(identities: Identities, policy: Identity) -> str:
    return documents.arn(identities.account, "policy", policy.content.path, policy.name)


async def _policy(identities: Identities, policy: Identity) -> dict[str, Any]:
    arn = _arn(identities, policy)
    return {
        "PolicyName": policy.name,
        "PolicyId": documents.unique_id("ANPA", arn, policy.created_at),
        "Arn": arn,
        "Path": policy.content.path,
        "DefaultVersionId": _VERSION,
        "AttachmentCount": await identities.attachments_of(arn),
        "PermissionsBoundaryUsageCount": 0,
        "IsAttachable": True,
        "Description": policy.content.description,
        "CreateDate": policy.created_at,
        "UpdateDate": policy.created_at,
        "Tags": documents.tags(policy.content.tags),
    }


def _version(policy: Identity) -> dict[str, Any]:
    return {
        "Document": documents.encoded(policy.content.policy),
        "VersionId": _VERSION,
        "IsDefaultVersion": True,
        "CreateDate": policy.created_at,
    }
