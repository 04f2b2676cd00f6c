"""Generate the passwords and keys of docker-compose.yml: `python3 -m deploy.compose`.

Needs only Python 3.11. Existing secrets are kept, missing ones are generated.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from deploy.compose.secret_files import write_secrets

DEFAULT_FOLDER = Path(__file__).with_name("secrets")


def main() -> int:
    """Write the files, and print their folder."""
    parser = argparse.ArgumentParser(prog="python3 -m deploy.compose", description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=DEFAULT_FOLDER, help="default: %(default)s")
    folder = parser.parse_args().folder
    os.umask(0o077)
    written = write_secrets(folder)
    sys.stdout.write(f"{len(written)} secrets are in {folder}; back up its secrets.json\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
