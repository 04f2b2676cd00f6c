"""Write every generated document: `make contracts`."""

from __future__ import annotations

import sys

from tests.contract.documents import ROOT, documents

for path, content in documents().items():
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_bytes() != content:
        path.write_bytes(content)
        sys.stdout.write(f"wrote {path.relative_to(ROOT)}\n")
