"""Convert JSON Lines to CSV, so that one reader imports both."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterator
from typing import IO, Any, Final, cast

import orjson

from services.sync.domain.limits import MAX_COLUMNS
from shared.errors import Permanent

MAX_LINE_BYTES: Final = 2**20
"""Bytes of one object; arbitrary, as a line of gzip could unpack to gigabytes."""


def is_json_lines(file: IO[bytes]) -> bool:
    """Return whether a file begins as JSON Lines do, with an object. The position is its beginning again."""
    head = file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n")
    file.seek(0)
    return head.startswith(b"{")


def as_csv(file: IO[bytes], converted: IO[bytes], max_bytes: int) -> IO[bytes]:
    """Return a file at its beginning: JSON Lines, also in gzip, as CSV in `converted`, any other as it is.

    Raises Permanent for one that can't be unpacked, or is too large unpacked or as CSV.
    """
    packed = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    lines = cast("IO[bytes]", gzip.GzipFile(fileobj=file, mode="rb")) if packed else file
    try:
        if not is_json_lines(lines):
            file.seek(0)
            return file
        to_csv(lines, converted, max_bytes)
    except (OSError, EOFError, zlib.error) as error:
        raise Permanent(f"The file can't be unpacked: {error}") from error
    converted.seek(0)
    return converted


def to_csv(source: IO[bytes], target: IO[bytes], max_bytes: int = 2**31) -> None:
    """Write the objects as rows; the columns are the members of all objects, in order of their appearance.

    A line that is no object becomes a row without the other columns, which the import rejects with its text.
    A line of the file is one line earlier than that of the row. Raises Permanent for too many members, a line
    beyond `MAX_LINE_BYTES`, and more than `max_bytes` in the lines or the rows.
    """
    names: dict[str, None] = {}
    for line in _lines(source, max_bytes):
        document = _object(line)
        names.update(dict.fromkeys(document or ()))
        if len(names) > MAX_COLUMNS:
            raise Permanent(f"The objects have more than {MAX_COLUMNS:,} members; leave some out.")
    source.seek(0)
    text = io.TextIOWrapper(target, encoding="utf-8", newline="", write_through=True)
    writer = csv.writer(text)
    writer.writerow(names)
    for line in _lines(source, max_bytes):
        if not line.strip():
            continue
        document = _object(line)
        if document is None:
            writer.writerow([line.decode(errors="replace").strip()])
        else:
            writer.writerow([_cell(document.get(name)) for name in names])
        if target.tell() > max_bytes:
            raise Permanent(f"The file has more than {max_bytes:,} bytes as CSV; split it.")
    text.detach()


def _lines(source: IO[bytes], max_bytes: int) -> Iterator[bytes]:
    """Yield lines. Raises Permanent for one that is too long, and beyond `max_bytes` in all."""
    size = 0
    while line := source.readline(MAX_LINE_BYTES + 1):
        size += len(line)
        if len(line) > MAX_LINE_BYTES or size > max_bytes:
            sentence = f"more than {max_bytes:,} bytes, or a line of more than {MAX_LINE_BYTES:,}"
            raise Permanent(f"The file has {sentence}; split it.")
        yield line


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
