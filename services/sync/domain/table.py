"""A CSV file, however messy, → records: every row is either good or refused by itself.

Python's `csv` alone would let one open quote swallow every row behind it; here a record that spans lines
and turns out wrong costs its first line only, and reading goes on with the next one.
"""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from services.sync.domain.limits import MAX_COLUMNS
from services.sync.domain.line_reader import MAX_ROW_CHARACTERS, LineReader
from shared.errors import Permanent

DELIMITERS = ",;\t|"
# Spreadsheets write and read such a first line; it is no part of RFC 4180.
_SEPARATOR_LINE = re.compile(r'"?sep=([^"\s\w]|\t)"?\s*', re.IGNORECASE)
_BACKSLASH = re.compile(r'\\(["\\])?')
_DAMAGED = re.compile("[\ud800-\udfff\0]")
MAX_RAW_CHARACTERS = 2_000
"""Characters of a refused row that are kept."""

# Lines of one row. Without this bound a file whose every row leaves a quote open would be read over and over.
_MOST_LINES = 50


class Record(NamedTuple):
    """One row. `line` counts from 1, which is the header; `problem` is a reason's code, or empty."""

    line: int
    fields: list[str]
    raw: str
    problem: str = ""
    detail: str = ""


class Table:
    """Feed it pieces of a file. `header` is there once the first line is; a line `sep=;` may precede it."""

    def __init__(self, encoding: str | None = None, delimiter: str | None = None) -> None:
        """What isn't given is found out: the delimiter from the header."""
        self.header: list[str] | None = None
        self.delimiter = delimiter
        """The delimiter of the columns, which is known once the header is read."""
        self._lines = LineReader(encoding)
        self._source = _LineSource()
        self._records: Iterator[list[str]] = iter(())
        self._line = 0

    @property
    def encoding(self) -> str:
        """What the file turned out to be written in."""
        return self._lines.encoding or "utf-8"

    def feed(self, piece: bytes) -> list[Record]:
        """The rows that are complete now."""
        return self._taken(self._lines.feed(piece), final=False)

    def close(self) -> list[Record]:
        """The rows that only the end of the file completes."""
        rows = self._taken(self._lines.close(), final=True)
        if self.header is None:
            raise Permanent("The file is empty; its first line must name the columns.")
        return rows

    def _taken(self, lines: list[str], *, final: bool) -> list[Record]:
        self._source.pending.extend(lines)
        if self.header is None and not self._read_header():
            return []
        return list(self._read(final=final))

    def _read_header(self) -> bool:
        pending = self._source.pending
        while pending:
            line = pending.popleft()
            self._line += 1
            if separator := self._line == 1 and _SEPARATOR_LINE.fullmatch(line):
                self.delimiter = self.delimiter or separator[1]
            elif line.strip():
                delimiter = self.delimiter = self.delimiter or max(DELIMITERS, key=line.count)
                if _DAMAGED.search(line):
                    raise Permanent("The first line is no text; is this a CSV file, or gzip of one?")
                if len(line) > MAX_ROW_CHARACTERS:
                    raise Permanent(
                        f"The header is longer than {MAX_ROW_CHARACTERS:,} characters; is this a CSV file?"
                    )
                self.header = _names(line, delimiter)
                self._records = csv.reader(self._source, delimiter=delimiter, strict=True)
                return True
        return False

    def _read(self, *, final: bool) -> Iterator[Record]:
        feed, columns = self._source, len(self.header or ())
        while feed.pending:
            feed.begin()
            line = self._line + 1
            found = self._fields(columns, final=final)
            if found is None:
                feed.put_back(0)  # The rest of the record comes with the next piece.
                return
            fields, problem, detail = found
            if len(feed.taken) > 1 and problem:
                # Only the first line is to blame: the others may be rows of their own.
                feed.put_back(1)
                problem, detail = "bad_quotes", "a quote is opened and not closed on this line"
            self._line += len(feed.taken)
            if not problem and not fields:
                continue
            raw = feed.taken[0] if len(feed.taken) == 1 else "".join(feed.taken)
            if not problem and self._lines.has_damage and _DAMAGED.search(raw):
                problem, detail = _damage(raw)
            if not problem or raw.strip():
                yield Record(line, fields, printable(raw) if problem else raw, problem, detail)

    def _fields(self, columns: int, *, final: bool) -> tuple[list[str], str, str] | None:
        """Return the next record's fields, or the code and sentence of what is wrong with it.

        None when it may go on in the next piece.
        """
        feed = self._source
        fields: list[str] = []
        problem = detail = ""
        try:
            fields = next(self._records)
            if len(fields) != columns:
                problem, detail = "ragged_row", f"{len(fields)} columns where the header has {columns}"
        except _TooLong:
            problem, detail = "row_too_long", f"longer than {MAX_ROW_CHARACTERS:,} characters"
        except csv.Error as error:
            if feed.ran_out and not final:
                return None
            problem, detail = "bad_quotes", _explained(error)
        if (problem or len(feed.taken) > 1) and '\\"' in feed.taken[0]:
            escaped = self._unescaped(feed.taken[0], columns)
            if escaped and problem:
                feed.put_back(1)
                return escaped, "", ""
            if escaped:
                problem = "bad_quotes"  # One row or several? Nobody can tell.
        # Nobody reads the fields of a wrong one, and a row of commas has tens of thousands.
        return [] if problem else fields, problem, detail

    def _unescaped(self, line: str, columns: int) -> list[str]:
        """Return the fields of a line whose quotes backslashes escape, as Amazon Personalize asks; else none.

        A backslash before anything else than a quote or a backslash is itself.
        """
        doubled = _BACKSLASH.sub(lambda found: found[0] if found[1] else "\\\\", line)
        try:
            reader = csv.reader([doubled], delimiter=self.delimiter or ",", escapechar="\\", strict=True)
            fields = next(reader)
        except csv.Error:
            return []
        return fields if len(fields) == columns else []


class _TooLong(Exception):
    """A record grows beyond what is read."""


class _LineSource:
    """The lines as `csv.reader` asks for them, with a memory of those in the present record."""

    def __init__(self) -> None:
        self.pending: deque[str] = deque()
        self.taken: list[str] = []
        self.ran_out = False
        self.size = 0

    def begin(self) -> None:
        """A new record begins."""
        self.taken = []
        self.ran_out = False
        self.size = 0

    def put_back(self, first: int) -> None:
        """Take the lines from the index `first` as not read."""
        self.pending.extendleft(reversed(self.taken[first:]))
        del self.taken[first:]

    def __iter__(self) -> _LineSource:
        return self

    def __next__(self) -> str:
        if not self.pending:
            self.ran_out = True
            raise StopIteration
        line = self.pending.popleft()
        self.taken.append(line)
        self.size += len(line)
        if self.size > MAX_ROW_CHARACTERS or len(self.taken) > _MOST_LINES:
            raise _TooLong
        return line


def printable(raw: str) -> str:
    """A refused row as it is shown: without its line end, without what can't be stored, and not endless."""
    text = _DAMAGED.sub(lambda found: f"\\x{ord(found[0]) & 0xFF:02x}", raw.rstrip("\r\n"))
    return text if len(text) <= MAX_RAW_CHARACTERS else f"{text[:MAX_RAW_CHARACTERS]}…"


def _names(line: str, delimiter: str) -> list[str]:
    try:
        names = [name.strip() for name in next(csv.reader([line], delimiter=delimiter, strict=True))]
    except csv.Error as error:
        raise Permanent(f"The first line doesn't name the columns: {_explained(error)}.") from error
    if len(names) > MAX_COLUMNS:
        raise Permanent(f"The first line has {len(names):,} columns; {MAX_COLUMNS:,} are allowed.")
    return names


def _damage(raw: str) -> tuple[str, str]:
    if "\0" in raw:
        return "bad_encoding", "holds a NUL character, which can't be stored"
    return "bad_encoding", "holds bytes that are no text in the file's encoding"


def _explained(error: csv.Error) -> str:
    text = str(error)
    if "expected after" in text:
        return "a quoted field goes on behind its closing quote"
    if "unexpected end" in text:
        return "a quote is opened and never closed"
    if "field limit" in text:
        return "a field has no end"
    return "a carriage return stands inside a field"
