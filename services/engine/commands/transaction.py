"""The transaction in which a command's action runs."""

from __future__ import annotations

import argparse
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from shared.postgres import Database

if TYPE_CHECKING:
    from services.engine.settings import Settings
    from shared.postgres import Connection

Action = Callable[["Settings", "Connection", argparse.Namespace], Awaitable[str]]
"""Changes or reads the database; returns the text to print."""


async def run_action(settings: Settings, options: argparse.Namespace) -> str:
    """Run `options.run`, an action, in one transaction; return the text to print."""
    database = Database(settings.postgres, "engine")
    await database.start()
    try:
        async with database.transaction() as connection:
            action: Action = options.run
            return await action(settings, connection, options)
    finally:
        await database.stop()
