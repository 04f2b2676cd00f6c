"""Parse a CSV file into records; an invalid row is rejected without affecting other rows.

With Python's `csv` alone, one open quote would consume all rows after it. Here, if a record that spans
several lines is invalid, only its first line is rejected, and parsing continues with the next line.
"""

from __future__ import annotations

import csv
import io
import re
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from services.sync.domain.limits import MAX_COLUMNS
from services.sync.domain.line_reader import MAX_ROW_CHARACTERS, LineReader
from shared.errors import Permanent

DELIMITERS = ",;\t|"
# Spreadsheets write and read such a first line; it is not part of RFC 4180.
_SEPARATOR_LINE = re.compile(r'"?sep=([^"\s\w]|\t)"?\s*', re.IGNORECASE)
_BACKSLASH = re.compile(r'\\(["\\])?')
_DAMAGED = re.compile("[\ud800-\udfff\0]")
MAX_RAW_CHARACTERS = 2_000
"""Characters of a rejected row that are stored. Arbitrary."""

_MAX_LINES = 50
"""Lines of one row. Without a limit, a file with an open quote in each row takes quadratic time."""


class Record(NamedTuple):
    """One row. `line` counts from 1, the header; `problem` is the code of a reason, or empty."""

    line: int
    fields: list[str]
    raw: str
    problem: str = ""
    detail: str = ""


class Table:
    """Returns the records of a file as its pieces are fed. `header` is None until its line is complete.

    A line such as `sep=;` may precede the header.
    """

    def __init__(self, encoding: str | None = None, delimiter: str | None = None) -> None:
        """Detect the encoding, and the delimiter in the header, if they are None."""
        self.header: list[str] | None = None
        self.delimiter = delimiter
        """The delimiter of columns; None until the header is read."""
        self._lines = LineReader(encoding)
        self._source = _LineSource()
        self._records: Iterator[list[str]] = iter(())
        self._line = 0

    @property
    def header_line(self) -> str | None:
        """Return the header as a line of CSV with the delimiter of the file; None until it is read."""
        if self.header is None:
            return None
        text = io.StringIO()
        csv.writer(text, delimiter=self.delimiter or ",", lineterminator="").writerow(self.header)
        return text.getvalue()

    @property
    def encoding(self) -> str:
        """Return the encoding of the file, as far as it has been read."""
        return self._lines.encoding or "utf-8"

    def feed(self, piece: bytes) -> list[Record]:
        """Return the rows that the piece completes. Raises Permanent for an invalid header."""
        return self._parse(self._lines.feed(piece), final=False)

    def close(self) -> list[Record]:
        """Return the rows that the end of the file completes. Raises Permanent for an empty file."""
        rows = self._parse(self._lines.close(), final=True)
        if self.header is None:
            raise Permanent("The file is empty; its first line must name the columns.")
        return rows

    def _parse(self, lines: list[str], *, final: bool) -> list[Record]:
        self._source.pending.extend(lines)
        if self.header is None and not self._read_header():
            return []
        return list(self._read(final=final))

    def _read_header(self) -> bool:
        """Read the header; return False if its line is not complete. Raises Permanent if it is invalid."""
        pending = self._source.pending
        while pending:
            line = pending.popleft()
            self._line += 1
            if separator := self._line == 1 and _SEPARATOR_LINE.fullmatch(line):
                self.delimiter = self.delimiter or separator[1]
            elif line.strip():
                delimiter = self.delimiter = self.delimiter or max(DELIMITERS, key=line.count)
                if _DAMAGED.search(line):
                    raise Permanent("The header is not text; is this a CSV file, or gzip of one?")
                if len(line) > MAX_ROW_CHARACTERS:
                    raise Permanent(
                        f"The header is longer than {MAX_ROW_CHARACTERS:,} characters; is this a CSV file?"
                    )
                self.header = _names(line, delimiter)
                self._records = csv.reader(self._source, delimiter=delimiter, strict=True)
                return True
        return False

    def _read(self, *, final: bool) -> Iterator[Record]:
        source, columns = self._source, len(self.header or ())
        while source.pending:
            source.begin()
            line = self._line + 1
            parsed = self._fields(columns, final=final)
            if parsed is None:
                source.unread(0)  # The rest of the record is in the next piece.
                return
            fields, problem, detail = parsed
            if len(source.record_lines) > 1 and problem:
                # Reject the first line only: the others may be valid rows.
                source.unread(1)
                problem, detail = "bad_quotes", "a quote is opened but not closed on this line"
            self._line += len(source.record_lines)
            if not problem and not fields:
                continue
            raw = source.record_lines[0] if len(source.record_lines) == 1 else "".join(source.record_lines)
            if not problem and self._lines.has_damage and _DAMAGED.search(raw):
                problem, detail = _damage(raw)
            if not problem or raw.strip():
                yield Record(line, fields, printable(raw) if problem else raw, problem, detail)

    def _fields(self, columns: int, *, final: bool) -> tuple[list[str], str, str] | None:
        """Return the next (fields, problem, detail), or None if the record may continue in the next piece."""
        source = self._source
        fields: list[str] = []
        problem = detail = ""
        try:
            fields = next(self._records)
            if len(fields) != columns:
                problem, detail = "ragged_row", f"{len(fields)} columns where the header has {columns}"
        except _TooLong:
            problem, detail = "row_too_long", f"longer than {MAX_ROW_CHARACTERS:,} characters"
        except csv.Error as error:
            if source.ran_out and not final:
                return None
            problem, detail = "bad_quotes", _describe(error)
        if (problem or len(source.record_lines) > 1) and '\\"' in source.record_lines[0]:
            escaped = self._unescaped(source.record_lines[0], columns)
            if escaped and problem:
                source.unread(1)
                return escaped, "", ""
            if escaped:
                problem = "bad_quotes"  # It is ambiguous whether this is one row or several.
        # Drop the fields of an invalid row, which may be tens of thousands of empty ones.
        return [] if problem else fields, problem, detail

    def _unescaped(self, line: str, columns: int) -> list[str]:
        """Return the fields of a line with backslash-escaped quotes, as in Amazon Personalize, or no fields.

        A backslash before any character but a quote or a backslash is literal.
        """
        doubled = _BACKSLASH.sub(lambda match: match[0] if match[1] else "\\\\", line)
        try:
            reader = csv.reader([doubled], delimiter=self.delimiter or ",", escapechar="\\", strict=True)
            fields = next(reader)
        except csv.Error:
            return []
        return fields if len(fields) == columns else []


class _TooLong(Exception):
    """A record exceeds the limits of one row."""


class _LineSource:
    """The lines for `csv.reader`; `taken` are those of the current record."""

    def __init__(self) -> None:
        self.pending: deque[str] = deque()
        self.record_lines: list[str] = []
        self.ran_out = False
        self.size = 0

    def begin(self) -> None:
        """Start a new record."""
        self.record_lines = []
        self.ran_out = False
        self.size = 0

    def unread(self, first: int) -> None:
        """Return the lines of the record from index `first` on to the pending ones."""
        self.pending.extendleft(reversed(self.record_lines[first:]))
        del self.record_lines[first:]

    def __iter__(self) -> _LineSource:
        return self

    def __next__(self) -> str:
        if not self.pending:
            self.ran_out = True
            raise StopIteration
        line = self.pending.popleft()
        self.record_lines.append(line)
        self.size += len(line)
        if self.size > MAX_ROW_CHARACTERS or len(self.record_lines) > _MAX_LINES:
            raise _TooLong
        return line


def printable(raw: str) -> str:
    """Return a rejected row for display: truncated, without line end, and with invalid bytes in hex."""
    text = _DAMAGED.sub(lambda match: f"\\x{ord(match[0]) & 0xFF:02x}", raw.rstrip("\r\n"))
    return text if len(text) <= MAX_RAW_CHARACTERS else f"{text[:MAX_RAW_CHARACTERS]}…"


def _names(line: str, delimiter: str) -> list[str]:
    try:
        names = [name.strip() for name in next(csv.reader([line], delimiter=delimiter, strict=True))]
    except csv.Error as error:
        raise Permanent(f"The header is not valid: {_describe(error)}.") from error
    if len(names) > MAX_COLUMNS:
        raise Permanent(f"The header has {len(names):,} columns; {MAX_COLUMNS:,} are allowed.")
    return names


def _damage(raw: str) -> tuple[str, str]:
    if "\0" in raw:
        return "bad_encoding", "contains a NUL character, which cannot be stored"
    return "bad_encoding", "contains bytes that are not valid in the file's encoding"


def _describe(error: csv.Error) -> str:
    text = str(error)
    if "expected after" in text:
        return "a quoted field continues after its closing quote"
    if "unexpected end" in text:
        return "a quote is opened and never closed"
    if "field limit" in text:
        return "a field is too long"
    return "a field contains a carriage return"
