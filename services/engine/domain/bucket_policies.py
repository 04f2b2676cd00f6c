"""Policies of buckets: the part about services of AWS, and the part that the S3 server enforces."""

from __future__ import annotations

import json
from typing import Any

_SERVICE = "Service"


class MalformedPolicyError(ValueError):
    """The text is not the policy of a bucket."""


def enforceable(text: str) -> str | None:
    """Return the policy without principals that are services of AWS; None if nothing remains.

    Raises MalformedPolicyError.
    """
    policy = _policy(text)
    statements = [_without_services(statement) for statement in _statements(policy)]
    remaining = [statement for statement in statements if statement is not None]
    return json.dumps({**policy, "Statement": remaining}) if remaining else None


def names_services(text: str) -> bool:
    """Return whether a policy has a service of AWS as a principal. Raises MalformedPolicyError."""
    principals = [statement.get("Principal") for statement in _statements(_policy(text))]
    return any(isinstance(principal, dict) and _SERVICE in principal for principal in principals)


def _policy(text: str) -> dict[str, Any]:
    try:
        policy = json.loads(text)
    except (ValueError, RecursionError):
        raise MalformedPolicyError("This policy contains invalid Json") from None
    if not isinstance(policy, dict):
        raise MalformedPolicyError("Policies must be valid JSON and the first byte must be '{'")
    return policy


def _statements(policy: dict[str, Any]) -> list[dict[str, Any]]:
    statements = policy.get("Statement")
    listed = [statements] if isinstance(statements, dict) else statements
    if not isinstance(listed, list) or not listed or not all(isinstance(each, dict) for each in listed):
        raise MalformedPolicyError("Missing required field Statement")
    return listed


def _without_services(statement: dict[str, Any]) -> dict[str, Any] | None:
    principal = statement.get("Principal")
    if not isinstance(principal, dict) or _SERVICE not in principal:
        return statement
    remaining = {kind: names for kind, names in principal.items() if kind != _SERVICE}
    return {**statement, "Principal": remaining} if remaining else None
