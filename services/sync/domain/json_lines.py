"""Convert JSON Lines to CSV, so that one reader imports both."""

from __future__ import annotations

import csv
import io
from typing import IO, Any

import orjson

from services.sync.domain.limits import MAX_COLUMNS
from shared.errors import Permanent


def is_json_lines(file: IO[bytes]) -> bool:
    """Return whether a file begins as JSON Lines do, with an object. The position is its beginning again."""
    head = file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n")
    file.seek(0)
    return head.startswith(b"{")


def to_csv(source: IO[bytes], target: IO[bytes]) -> None:
    """Write the objects as rows; the columns are the members of all objects, in order of their appearance.

    A line that is no object becomes a row without the other columns, which the import rejects with its text.
    A line of the file is one line earlier than that of the row. Raises Permanent for too many members.
    """
    names: dict[str, None] = {}
    for line in source:
        document = _object(line)
        names.update(dict.fromkeys(document or ()))
        if len(names) > MAX_COLUMNS:
            raise Permanent(f"The objects have more than {MAX_COLUMNS:,} members; leave some out.")
    source.seek(0)
    text = io.TextIOWrapper(target, encoding="utf-8", newline="", write_through=True)
    writer = csv.writer(text)
    writer.writerow(names)
    for line in source:
        if not line.strip():
            continue
        document = _object(line)
        if document is None:
            writer.writerow([line.decode(errors="replace").strip()])
        else:
            writer.writerow([_cell(document.get(name)) for name in names])
    text.detach()


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        document = orjson.loads(line.lstrip(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError:
        return None
    return document if isinstance(document, dict) else None


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return orjson.dumps(value).decode() if isinstance(value, dict | list) else value
