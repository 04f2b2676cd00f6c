"""What a person can put right: one line, no traceback."""

from __future__ import annotations


class StackError(Exception):
    """The stack cannot go on; the message says what happened and what to do."""
