"""Postgres: a pool that starts without a server, named SQL statements, and migrations.

SQL = statements(Path(__file__).with_name("queries.sql"))
row = await database.fetchrow(*SQL.order(tenant=tenant, order_id=order_id))

python -m shared.postgres roles     create the login role and schema of every service (administrator)
"""

from typing import TYPE_CHECKING

from shared.postgres.database import UNAVAILABLE, Database
from shared.postgres.migrations import make_roles, migrate
from shared.postgres.notices import Notice
from shared.postgres.refusals import REFUSED, refusal
from shared.postgres.statements import Statement, Statements, statements

if TYPE_CHECKING:
    from shared.postgres.database import Connection as Connection

__all__ = [
    "REFUSED",
    "UNAVAILABLE",
    "Database",
    "Notice",
    "Statement",
    "Statements",
    "make_roles",
    "migrate",
    "refusal",
    "statements",
]
