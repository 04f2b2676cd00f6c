r"""CSV with quotes and backslashes → CSV after RFC 4180, a row of one for each row of the other.

Amazon Personalize asks for `\"` inside of quoted texts; spreadsheets and pandas double the quote and leave
backslashes as they are. `"C:\parts\"` is a whole text for these, and an open one for the other, which a
lenient parser closes somewhere in the rows behind it. So each row that has a backslash is read as the guide
asks, and if that makes no row of the header's columns, by RFC 4180. A row that neither can read, or that both
can read with different ends, is a fault, and the stream ends before it.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import IO, Any, NamedTuple

UNREADABLE = (
    "a quoted text is not closed, or goes on behind its closing quote; write a quote inside of a text "
    'as "" or \\", and a backslash before it as \\\\'
)
AMBIGUOUS = (
    "it can be read as one row with a line break inside of a text, or as several rows; write a backslash "
    "before a quote as \\\\, and a quote inside of a text as two"
)
TOO_LONG = "the row is longer than {:,} bytes"

_END = rb"(?:\r\n|\n|\r)"
# Of a row that both rules read alike: it has no backslash before a quote, a comma or another backslash. A
# quote behind the first character of a text is one like others.
_CLEAN_FIELD = (
    rb'(?:"[^"\\]*+(?:(?:""|\\(?!["\\]))[^"\\]*+)*+"'
    rb'|(?:[^",\r\n\\]|\\(?!["\\,]))(?:[^,\r\n\\]++|\\(?!["\\,]))*+|)'
)
_CLEAN = re.compile(rb"(?:" + _CLEAN_FIELD + rb"(?:," + _CLEAN_FIELD + rb")*+" + _END + rb")*+")
_RFC_FIELD = rb'(?:"[^"]*+(?:""[^"]*+)*+"|[^",\r\n][^,\r\n]*+|)'
# In one line, texts behind a closing quote are harmless, and were always taken.
_LOOSE_FIELD = rb'(?:"[^"\r\n]*+(?:""[^"\r\n]*+)*+"[^",\r\n]*+|[^",\r\n][^,\r\n]*+|)'
# A backslash escapes quotes, backslashes and (outside of quotes) commas; before anything else it is itself.
_GUIDE_FIELD = (
    rb'(?:"(?:[^"\\]++|\\["\\]|""|\\)*+"'
    rb'|(?:[^",\r\n\\]|\\["\\,]|\\)(?:[^,\r\n\\]++|\\["\\,]|\\)*+|)'
)
_QUOTED_ESCAPE = re.compile(rb'\\(["\\])|""')
_ESCAPE = re.compile(rb'\\(["\\,])')


class _Row(NamedTuple):
    """The raw fields of a row, where its line end begins, and where the next row does."""

    fields: list[bytes]
    line_end: int
    end: int


class _Rule:
    """One way to read a row."""

    def __init__(self, field: bytes) -> None:
        self._field = re.compile(field)
        row = field + rb"(?:," + field + rb")*+"
        self._row = re.compile(row + _END)
        self._last = re.compile(row + rb"(?:" + _END + rb"|\Z)")

    def read(self, data: bytes, start: int, *, final: bool) -> _Row:
        """Return the row that begins at `start`, with the end -1 when there is none that ends in `data`."""
        match = (self._last if final else self._row).match(data, start)
        if match is None:
            return _Row([], start, -1)
        fields: list[bytes] = []
        at = start - 1
        while not fields or data[at : at + 1] == b",":
            field = self._field.match(data, at + 1)
            assert field is not None  # any field may be empty
            fields.append(field[0])
            at = field.end()
        return _Row(fields, at, match.end())


_GUIDE, _RFC, _LOOSE = _Rule(_GUIDE_FIELD), _Rule(_RFC_FIELD), _Rule(_LOOSE_FIELD)


class Rows(io.RawIOBase):
    """The rows of a file after RFC 4180, read from a buffered stream; `fault` says why they ended early."""

    def __init__(self, stream: IO[bytes], columns: int, block: int) -> None:
        """`columns` are those of the header; `block` bytes are read at a time, and a row may have as many."""
        self.fault: str | None = None
        self._stream = stream
        self._columns = columns
        self._block = block
        self._pieces = self._read_pieces()
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        """Return True: it is a file for pyarrow."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer; 0 at the end of the rows."""
        filled = 0
        while filled < len(buffer):
            if not self._rest:
                piece = next(self._pieces, None)
                if piece is None:
                    break
                self._rest = memoryview(piece)
            size = min(len(buffer) - filled, len(self._rest))
            buffer[filled : filled + size] = self._rest[:size]
            self._rest = self._rest[size:]
            filled += size
        return filled

    def _read_pieces(self) -> Iterator[bytes]:
        """Yield whole rows, many at once where they are clean.

        At least a block of bytes behind a row's beginning is in memory, and two at the most.
        """
        data, start, final = b"", 0, False
        quote = backslash = -1
        while self.fault is None:
            if len(data) - start < self._block and not final:
                more = self._stream.read(self._block)
                final = len(more) < self._block
                data, start = data[start:] + more, 0
                quote = backslash = -1
            if start == len(data):
                return
            # The next ones at or behind the start, looked for once.
            quote = _next(data, b'"', quote, start)
            backslash = _next(data, b"\\", backslash, start)
            special = min(quote, backslash)
            end = len(data) if final and special == len(data) else data.rfind(b"\n", start, special) + 1
            if end <= start:
                match = _CLEAN.match(data, start) if quote < len(data) else None
                end = match.end() if match else start
            if end <= start:
                piece, end = self._special(data, start, final=final)
            else:
                piece = data[start:end]
            start = end
            yield piece

    def _special(self, data: bytes, start: int, *, final: bool) -> tuple[bytes, int]:
        """Return one row that is not clean, and where it ends; sets the fault of a wrong one."""
        guide, rfc = _GUIDE.read(data, start, final=final), _RFC.read(data, start, final=final)
        if self._fits(guide) and self._fits(rfc) and guide.end != rfc.end:
            # If the rule with the shorter row can't read on, the other one is meant.
            rule, shorter, longer = (_RFC, rfc, guide) if rfc.end < guide.end else (_GUIDE, guide, rfc)
            if self._goes_on(rule, data, shorter.end, longer.end, final=final):
                return self._wrong(AMBIGUOUS, start)
            row = longer
        elif self._fits(guide):
            row = guide
        elif self._fits(rfc):
            row = rfc
        else:
            return self._odd(data, start, {guide.end, rfc.end}, final=final)
        if row is rfc:
            return data[start : row.end], row.end
        return b",".join(map(_written, row.fields)) + data[row.line_end : row.end], row.end

    def _odd(self, data: bytes, start: int, ends: set[int], *, final: bool) -> tuple[bytes, int]:
        """Return what is no row of the header's columns, if it is a line by itself; else it is a fault."""
        line = data.find(b"\n", start) + 1 or (len(data) if final else 0)
        if line == 0:
            return self._wrong(TOO_LONG.format(self._block), start)
        loose = _LOOSE.read(data, start, final=final)
        # A row of too many columns, or too few, is refused by who reads it, with their number.
        if self._fits(loose) or line in ends:
            return data[start:line], line
        return self._wrong(UNREADABLE, start)

    def _fits(self, row: _Row) -> bool:
        return row.end > 0 and len(row.fields) == self._columns

    def _goes_on(self, rule: _Rule, data: bytes, start: int, until: int, *, final: bool) -> bool:
        """Return whether a rule reads one row after another up to a place or beyond it."""
        while start < until:
            row = rule.read(data, start, final=final)
            if not self._fits(row):
                return False
            start = row.end
        return True

    def _wrong(self, fault: str, start: int) -> tuple[bytes, int]:
        self.fault = fault
        return b"", start


def _next(data: bytes, what: bytes, known: int, start: int) -> int:
    """Return the place of a byte at or behind `start`, or the data's end; `known` is an earlier answer."""
    if known >= start:
        return known
    place = data.find(what, start)
    return len(data) if place < 0 else place


def _written(field: bytes) -> bytes:
    """Return a field of the guide's escaping as RFC 4180 has it."""
    if field.startswith(b'"'):
        text = _QUOTED_ESCAPE.sub(lambda match: match[1] or b'"', field[1:-1])
    elif b"\\" in field:
        text = _ESCAPE.sub(rb"\1", field)
    else:
        return field
    return b'"' + text.replace(b'"', b'""') + b'"'
