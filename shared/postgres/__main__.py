"""Create the login role and schema of every service, as an administrator.

python -m shared.postgres roles
"""

from __future__ import annotations

import asyncio
import sys

from shared.postgres.migrations import make_roles
from shared.settings import PostgresSettings, service_database_urls


def main(arguments: list[str]) -> int:
    """Create the roles of the `<SERVICE>_DATABASE_URL` variables; return the exit status."""
    if arguments != ["roles"]:
        sys.stderr.write("usage: python -m shared.postgres roles\n")
        return 2
    urls = service_database_urls()
    if not urls:
        sys.stderr.write("Set <SERVICE>_DATABASE_URL for each service whose role is to be created.\n")
        return 2
    names = asyncio.run(make_roles(PostgresSettings().secured_url, urls))
    sys.stdout.write(f"roles: {', '.join(names)}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
