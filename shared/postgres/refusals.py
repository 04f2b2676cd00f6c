"""Values that Postgres can't store: errors of the sender, for which a retry does not help."""

from __future__ import annotations

import asyncpg

_SENTENCES: tuple[tuple[type[Exception], str], ...] = (
    (
        asyncpg.CharacterNotInRepertoireError,
        "A text holds a NUL character or is not valid Unicode, which can't be stored. Remove it.",
    ),
    (
        asyncpg.UntranslatableCharacterError,
        "A text holds a NUL character or half a surrogate pair, which can't be stored. Remove it.",
    ),
    (
        asyncpg.NumericValueOutOfRangeError,
        "A number is larger than can be stored. Send a smaller one.",
    ),
    (
        asyncpg.DatetimeFieldOverflowError,
        "A time is out of the range that can be stored. Send one between the years 1000 and 3000.",
    ),
    (
        asyncpg.StringDataRightTruncationError,
        "A text is longer than can be stored. Send a shorter one.",
    ),
    (
        asyncpg.ProgramLimitExceededError,
        "A text is too long for an index; names and ids have at most 256 characters. Shorten it.",
    ),
)
REFUSED = (asyncpg.DataError, asyncpg.ProgramLimitExceededError)
"""The base classes of the errors for which `refusal` returns a sentence."""

_NOT_ENCODABLE = (
    "A value can't be stored: a number that is out of range, or a text with a NUL character or half a "
    "surrogate pair. Correct it."
)


def refusal(error: Exception) -> str | None:
    """Return a sentence for people if Postgres can't store a value; None for any other error.

    Other errors of the class DataError, such as a division by zero, are defects of a statement.
    """
    if type(error) is asyncpg.DataError:  # raised by asyncpg before anything is sent
        return _NOT_ENCODABLE
    return next((sentence for kind, sentence in _SENTENCES if isinstance(error, kind)), None)
