"""Policy documents, ARNs and ids of IAM."""

from __future__ import annotations

import hashlib
import json
from base64 import b32encode
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from shared.aws import WireError


def check_document(text: str) -> None:
    """Raise WireError MalformedPolicyDocument unless a text is the JSON of a policy."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise WireError("MalformedPolicyDocument", "The policy is not valid JSON.") from None
    if not isinstance(document, dict) or not isinstance(document.get("Statement"), list | dict):
        raise WireError("MalformedPolicyDocument", "The policy is not a JSON object with a Statement.")


def encoded(document: str) -> str:
    """Return a policy document as IAM sends it: percent-encoded (RFC 3986)."""
    return quote(document, safe="")


def arn(account: str, kind: str, path: str, name: str) -> str:
    """Return the ARN of a role or policy."""
    return f"arn:aws:iam::{account}:{kind}{path}{name}"


def unique_id(prefix: str, arn: str, created: object) -> str:
    """Return an id in the form of IAM's: `AROA` or `ANPA`, and 17 letters and digits."""
    digest = hashlib.sha256(f"{arn} {created}".encode()).digest()
    return prefix + b32encode(digest).decode()[:17]


def tags(values: Mapping[str, str]) -> list[dict[str, str]]:
    """Return tags as IAM sends them."""
    return [{"Key": key, "Value": value} for key, value in values.items()]


def name_of(policy_arn: str) -> str:
    """Return the name of a policy: the last part of its ARN."""
    return policy_arn.rpartition("/")[2]


def is_managed_by_aws(policy_arn: str) -> bool:
    """Return whether a policy is one of AWS's own, which every account has."""
    return policy_arn.split(":")[4] == "aws"


def no_such_entity(noun: str, name: str) -> WireError:
    """Return the error for an entity that does not exist."""
    return WireError("NoSuchEntity", f"The {noun} with name {name} cannot be found.")


def already_exists(noun: str, name: str) -> WireError:
    """Return the error for a name that is taken."""
    return WireError("EntityAlreadyExists", f"{noun} with name {name} already exists.")


def page_of(names: str, entries: list[dict[str, Any]], markers: list[str], limit: int) -> dict[str, Any]:
    """Return a page of at most `limit` entries; `markers` are their names.

    There is one entry more than that if another page follows.
    """
    is_truncated = len(entries) > limit
    marker = markers[limit - 1] if is_truncated else None
    return {names: entries[:limit], "IsTruncated": is_truncated, "Marker": marker}
