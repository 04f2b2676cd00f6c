"""Roles of IAM, and the policies inside of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from services.engine.identity import documents
from services.engine.identity.members import (
    CreateRole,
    CreateServiceLinkedRole,
    ListOfRole,
    Paged,
    PutRolePolicy,
    RolePolicyRequest,
    RoleRequest,
    UpdateAssumeRolePolicy,
)
from services.engine.store.identities import Identities, Identity, IdentityContent, IdentityType
from shared.aws import WireError

_LINKED_PATH = "/aws-service-role/"


async def create_role(identities: Identities, request: CreateRole) -> dict[str, Any]:
    """Create a role. Raises WireError: EntityAlreadyExists, MalformedPolicyDocument."""
    documents.check_document(request.assume_role_policy_document)
    content = IdentityContent(
        request.assume_role_policy_document,
        request.path,
        request.description,
        request.max_session_duration,
        {tag.key: tag.value for tag in request.tags},
    )
    role = await identities.add(IdentityType.ROLE, request.role_name, content)
    if role is None:
        raise documents.already_exists("Role", request.role_name)
    return {"Role": _role(identities.account, role)}


async def create_service_linked_role(
    identities: Identities, request: CreateServiceLinkedRole
) -> dict[str, Any]:
    """Create the role of a service of AWS, such as `personalize.amazonaws.com`.

    Raises WireError InvalidInput if it exists.
    """
    service = request.aws_service_name
    title = "".join(part.capitalize() for part in service.removesuffix(".amazonaws.com").split("."))
    suffix = f"_{request.custom_suffix}" if request.custom_suffix else ""
    name = f"AWSServiceRoleFor{title}{suffix}"[:64]
    trust = (
        '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"'
        f'{service}"}},"Action":"sts:AssumeRole"}}]}}'
    )
    content = IdentityContent(trust, f"{_LINKED_PATH}{service}/", request.description)
    role = await identities.add(IdentityType.ROLE, name, content)
    if role is None:
        message = f"Service role name {name} has been taken in this account, please try a different suffix."
        raise WireError("InvalidInput", message)
    return {"Role": _role(identities.account, role)}


async def get_role(identities: Identities, request: RoleRequest) -> dict[str, Any]:
    """Return a role. Raises WireError NoSuchEntity."""
    return {"Role": _role(identities.account, await existing(identities, request.role_name))}


async def list_roles(identities: Identities, request: Paged) -> dict[str, Any]:
    """Return a page of the account's roles."""
    roles = await identities.page(IdentityType.ROLE, after=request.marker, limit=request.max_items + 1)
    entries = [_role(identities.account, role) for role in roles]
    page = documents.page_of("Roles", entries, [role.name for role in roles], request.max_items)
    page["Roles"] = [role for role in page["Roles"] if role["Path"].startswith(request.path_prefix)]
    return page


async def update_trust(identities: Identities, request: UpdateAssumeRolePolicy) -> None:
    """Replace a role's trust policy. Raises WireError: NoSuchEntity, MalformedPolicyDocument."""
    documents.check_document(request.policy_document)
    role = await existing(identities, request.role_name)
    content = replace(role.content, policy=request.policy_document)
    await identities.put(IdentityType.ROLE, role.name, content)


async def delete_role(identities: Identities, request: RoleRequest) -> None:
    """Delete a role without policies. Raises WireError: NoSuchEntity, DeleteConflict."""
    role = await existing(identities, request.role_name)
    if await identities.page(IdentityType.ATTACHMENT, role.name, limit=1):
        raise WireError("DeleteConflict", "Cannot delete entity, must detach all policies first.")
    if await identities.page(IdentityType.ROLE_POLICY, role.name, limit=1):
        raise WireError("DeleteConflict", "Cannot delete entity, must delete policies first.")
    await identities.delete(IdentityType.ROLE, role.name)


async def put_role_policy(identities: Identities, request: PutRolePolicy) -> None:
    """Put a policy into a role. Raises WireError: NoSuchEntity, MalformedPolicyDocument."""
    documents.check_document(request.policy_document)
    role = await existing(identities, request.role_name)
    content = IdentityContent(request.policy_document)
    await identities.put(IdentityType.ROLE_POLICY, request.policy_name, content, role.name)


async def get_role_policy(identities: Identities, request: RolePolicyRequest) -> dict[str, Any]:
    """Return a policy inside of a role. Raises WireError NoSuchEntity."""
    role = await existing(identities, request.role_name)
    policy = await identities.get(IdentityType.ROLE_POLICY, request.policy_name, role.name)
    if policy is None:
        raise documents.no_such_entity("role policy", request.policy_name)
    return {
        "RoleName": role.name,
        "PolicyName": policy.name,
        "PolicyDocument": documents.encoded(policy.content.policy),
    }


async def list_role_policies(identities: Identities, request: ListOfRole) -> dict[str, Any]:
    """Return a page of the names of the policies inside of a role. Raises WireError NoSuchEntity."""
    role = await existing(identities, request.role_name)
    policies = await identities.page(
        IdentityType.ROLE_POLICY, role.name, after=request.marker, limit=request.max_items + 1
    )
    names: list[Any] = [policy.name for policy in policies]
    return documents.page_of("PolicyNames", names, names, request.max_items)


async def delete_role_policy(identities: Identities, request: RolePolicyRequest) -> None:
    """Delete a policy inside of a role. Raises WireError NoSuchEntity."""
    role = await existing(identities, request.role_name)
    if not await identities.delete(IdentityType.ROLE_POLICY, request.policy_name, role.name):
        raise documents.no_such_entity("role policy", request.policy_name)


async def existing(identities: Identities, name: str) -> Identity:
    """Return a role. Raises WireError NoSuchEntity."""
    role = await identities.get(IdentityType.ROLE, name)
    if role is None:
        raise documents.no_such_entity("role", name)
    return role


def _role(account: str, role: Identity) -> dict[str, Any]:
    content = role.content
    arn = documents.arn(account, "role", content.path, role.name)
    return {
        "Path": content.path,
        "RoleName": role.name,
        "RoleId": documents.unique_id("AROA", arn, role.created_at),
        "Arn": arn,
        "CreateDate": role.created_at,
        "AssumeRolePolicyDocument": documents.encoded(content.policy),
        "Description": content.description,
        "MaxSessionDuration": content.session_seconds,
        "Tags": documents.tags(content.tags),
    }
