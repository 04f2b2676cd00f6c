"""Write the JSON Schemas of all events: `python -m shared.events`."""

from __future__ import annotations

import sys

from shared.events.documents import schemas

for path, content in schemas().items():
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    sys.stdout.write(f"{path}\n")
