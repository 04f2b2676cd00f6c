"""The error that a person can fix; it is printed without a traceback."""

from __future__ import annotations


class StackError(Exception):
    """The stack cannot continue; the message says what happened, and what to do."""
