"""Write the schemas and AsyncAPI pages of all events: `python -m shared.events`."""

from __future__ import annotations

import sys

from shared.events.documents import asyncapi, schemas

for path, content in (schemas() | asyncapi()).items():
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    sys.stdout.write(f"{path}\n")
