"""The table of the operations of IAM and STS."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from services.engine import metrics
from services.engine.identity import policies, roles
from services.engine.identity.members import (
    AttachmentRequest,
    CreatePolicy,
    CreateRole,
    CreateServiceLinkedRole,
    Empty,
    ListOfRole,
    Paged,
    PolicyRequest,
    PolicyVersionRequest,
    PutRolePolicy,
    RolePolicyRequest,
    RoleRequest,
    UpdateAssumeRolePolicy,
)
from services.engine.personalize.dispatcher import account_of
from services.engine.settings import Settings
from services.engine.store.identities import Identities
from shared.auth import Principal
from shared.aws import WireError
from shared.aws.query import QueryModel
from shared.aws_server import QueryOperation
from shared.postgres import Database

IAM_NAMESPACE = "https://iam.amazonaws.com/doc/2010-05-08/"
STS_NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"
MOST_IDENTITIES = 5_000
"""Entities of an account; arbitrary, the quotas of AWS are of this size."""

Handler = Callable[[Identities, Any], Awaitable[dict[str, Any] | None]]

IAM: Mapping[str, tuple[type[QueryModel], Handler]] = {
    "AttachRolePolicy": (AttachmentRequest, policies.attach_role_policy),
    "CreatePolicy": (CreatePolicy, policies.create_policy),
    "CreateRole": (CreateRole, roles.create_role),
    "CreateServiceLinkedRole": (CreateServiceLinkedRole, roles.create_service_linked_role),
    "DeletePolicy": (PolicyRequest, policies.delete_policy),
    "DeleteRole": (RoleRequest, roles.delete_role),
    "DeleteRolePolicy": (RolePolicyRequest, roles.delete_role_policy),
    "DetachRolePolicy": (AttachmentRequest, policies.detach_role_policy),
    "GetPolicy": (PolicyRequest, policies.get_policy),
    "GetPolicyVersion": (PolicyVersionRequest, policies.get_policy_version),
    "GetRole": (RoleRequest, roles.get_role),
    "GetRolePolicy": (RolePolicyRequest, roles.get_role_policy),
    "ListAttachedRolePolicies": (ListOfRole, policies.list_attached_role_policies),
    "ListPolicies": (Paged, policies.list_policies),
    "ListPolicyVersions": (PolicyRequest, policies.list_policy_versions),
    "ListRolePolicies": (ListOfRole, roles.list_role_policies),
    "ListRoles": (Paged, roles.list_roles),
    "PutRolePolicy": (PutRolePolicy, roles.put_role_policy),
    "UpdateAssumeRolePolicy": (UpdateAssumeRolePolicy, roles.update_trust),
}
"""The operations of IAM, each with its request and its handler. All need the scope `admin`."""

_GROWING = ("Attach", "Create", "Put")


def operations(database: Database, settings: Settings) -> list[QueryOperation]:
    """Return all operations in the form that the AWS server needs."""
    listed = [
        QueryOperation(
            name, "iam", IAM_NAMESPACE, request, "admin", _recorded(name, handler, database, settings)
        )
        for name, (request, handler) in IAM.items()
    ]
    identity = _caller_identity(database, settings)
    listed.append(QueryOperation("GetCallerIdentity", "sts", STS_NAMESPACE, Empty, None, identity))
    listed.append(QueryOperation("AssumeRole", "sts", STS_NAMESPACE, Empty, None, _assume_role))
    return listed


def _recorded(
    name: str, handler: Handler, database: Database, settings: Settings
) -> Callable[[Principal, Any], Awaitable[dict[str, Any] | None]]:
    """Return the handler in a transaction of its own, in which the account's changes wait for each other."""

    async def handle(principal: Principal, request: Any) -> dict[str, Any] | None:
        outcome = "InternalFailure"
        try:
            account = await account_of(database, principal, settings)
            async with database.transaction() as connection:
                identities = Identities(connection, account)
                if not name.startswith(("Get", "List")):
                    await identities.lock()
                if name.startswith(_GROWING):
                    await _check_quota(identities)
                reply = await handler(identities, request)
            outcome = "ok"
        except WireError as error:
            outcome = error.code
            raise
        finally:
            metrics.CALLS.labels(f"iam:{name}", outcome).inc()
        return reply

    return handle


async def _check_quota(identities: Identities) -> None:
    if await identities.count() >= MOST_IDENTITIES:
        message = f"An account has at most {MOST_IDENTITIES} roles, policies and attachments."
        raise WireError("LimitExceeded", message)


def _caller_identity(
    database: Database, settings: Settings
) -> Callable[[Principal, Empty], Awaitable[dict[str, str]]]:
    async def handle(principal: Principal, _: Empty) -> dict[str, str]:
        """Return the account and a name of the caller."""
        account = await account_of(database, principal, settings)
        # The id of an API key is derived from its hash, which is not for others.
        name = principal.credential if principal.kind == "sigv4" else principal.tenant
        user = name or principal.kind
        metrics.CALLS.labels("sts:GetCallerIdentity", "ok").inc()
        return {"UserId": user, "Account": account, "Arn": f"arn:aws:iam::{account}:user/{user}"}

    return handle


async def _assume_role(_: Principal, __: Empty) -> None:
    """Raise WireError AccessDenied: there are no temporary credentials."""
    message = "Endcap has no temporary credentials: use the key pair that signed this call for everything."
    raise WireError("AccessDenied", message)
