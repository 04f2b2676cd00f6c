"""Tokens that are derived from the token of a session."""

from __future__ import annotations

import hashlib
import hmac


def csrf_token(session: str) -> str:
    """Return the token that every form of a session contains, which other sites can't know."""
    return hmac.new(session.encode(), b"csrf", hashlib.sha256).hexdigest()


def is_csrf_token(session: str, token: str) -> bool:
    """Return whether a form belongs to the session, in constant time."""
    return hmac.compare_digest(csrf_token(session).encode(), token.encode())
