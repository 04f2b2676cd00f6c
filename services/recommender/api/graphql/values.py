"""Checks of the values of arguments."""

from __future__ import annotations

from typing import Final, TypeVar

from services.recommender.api.graphql.errors import BAD_REQUEST, FieldError

MAX_LIMIT: Final = 100
MAX_ID_CHARACTERS: Final = 256

NULL: Final = b"null"

Default = TypeVar("Default", int, None)


def checked_id(name: str, value: str) -> str:
    """Return an id; raise FieldError if it is empty, too long, or has a character that is no text."""
    if not 0 < len(value) <= MAX_ID_CHARACTERS:
        raise FieldError(BAD_REQUEST, f"{name} must have 1 to {MAX_ID_CHARACTERS} characters.")
    if "\0" in value or (not value.isascii() and any("\ud800" <= each <= "\udfff" for each in value)):
        raise FieldError(BAD_REQUEST, f"{name} has a character that is no text.")
    return value


def checked_limit(limit: int | None, default: Default) -> int | Default:
    """Return a limit, or the default for null; raise FieldError if it is out of range."""
    if limit is None:
        return default
    if not 1 <= limit <= MAX_LIMIT:
        raise FieldError(BAD_REQUEST, f"limit must be from 1 to {MAX_LIMIT}.")
    return int(limit)
