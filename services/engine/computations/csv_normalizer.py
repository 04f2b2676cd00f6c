r"""Rewriting CSV with backslash escapes as CSV of RFC 4180, row by row.

The developer guide of Amazon Personalize asks for `\"` inside quoted texts; spreadsheets and pandas double
the quote and leave backslashes as they are. `"C:\parts\"` is a complete text in RFC 4180, and an unclosed one
under the guide's rule, which a lenient parser would close somewhere in the following rows. So each row with a
backslash is read by the guide's rule, and by RFC 4180 if that does not give a row with the header's number
of columns. A row that neither rule can read, or that the two rules end at different places, is an error: the
stream ends before it.
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
# A clean row is one that both rules read alike: it has no backslash before a quote, a comma or another
# backslash. A quote after the first character of an unquoted text is an ordinary character.
_CLEAN_FIELD = (
    rb'(?:"[^"\\]*+(?:(?:""|\\(?!["\\]))[^"\\]*+)*+"'
    rb'|(?:[^",\r\n\\]|\\(?!["\\,]))(?:[^,\r\n\\]++|\\(?!["\\,]))*+|)'
)
_CLEAN = re.compile(rb"(?:" + _CLEAN_FIELD + rb"(?:," + _CLEAN_FIELD + rb")*+" + _END + rb")*+")
_RFC_FIELD = rb'(?:"[^"]*+(?:""[^"]*+)*+"|[^",\r\n][^,\r\n]*+|)'
# Within one line, text after a closing quote is harmless, and has always been accepted.
_LOOSE_FIELD = rb'(?:"[^"\r\n]*+(?:""[^"\r\n]*+)*+"[^",\r\n]*+|[^",\r\n][^,\r\n]*+|)'
# A backslash escapes quotes, backslashes and (outside quotes) commas; before other characters it is literal.
_GUIDE_FIELD = (
    rb'(?:"(?:[^"\\]++|\\["\\]|""|\\)*+"'
    rb'|(?:[^",\r\n\\]|\\["\\,]|\\)(?:[^,\r\n\\]++|\\["\\,]|\\)*+|)'
)
_QUOTED_ESCAPE = re.compile(rb'\\(["\\])|""')
_ESCAPE = re.compile(rb'\\(["\\,])')


class _Row(NamedTuple):
    """The raw fields of a row, the offset of its line end, and the offset of the next row."""

    fields: list[bytes]
    line_end: int
    end: int


class _Rule:
    """A grammar of rows, given by the pattern of a field."""

    def __init__(self, field: bytes) -> None:
        self._field = re.compile(field)
        row = field + rb"(?:," + field + rb")*+"
        self._row = re.compile(row + _END)
        self._last = re.compile(row + rb"(?:" + _END + rb"|\Z)")

    def read(self, data: bytes, start: int, *, final: bool) -> _Row:
        """Return the row that starts at `start`; its `end` is -1 when no row ends within `data`."""
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


class NormalizedRows(io.RawIOBase):
    """The rows of a CSV file in the format of RFC 4180, as a stream.

    `fault` is None, or says why the stream ended before the end of the file.
    """

    def __init__(self, stream: IO[bytes], columns: int, block: int) -> None:
        """Read a buffered stream, `block` bytes at a time; a row is `block` bytes long at most.

        `columns` is the number of columns in the header.
        """
        self.fault: str | None = None
        self._stream = stream
        self._columns = columns
        self._block = block
        self._pieces = self._read_pieces()
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        """Return True, as pyarrow expects of a file."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer and return the number of bytes written, 0 at the end of the rows."""
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

        Between one and two blocks of bytes from the start of the current row are in memory.
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
            # The next quote and backslash at or after `start`; each is searched for once.
            quote = _next(data, b'"', quote, start)
            backslash = _next(data, b"\\", backslash, start)
            special = min(quote, backslash)
            end = len(data) if final and special == len(data) else data.rfind(b"\n", start, special) + 1
            if end <= start:
                match = _CLEAN.match(data, start) if quote < len(data) else None
                end = match.end() if match else start
            if end <= start:
                piece, end = self._normalize(data, start, final=final)
            else:
                piece = data[start:end]
            start = end
            yield piece

    def _normalize(self, data: bytes, start: int, *, final: bool) -> tuple[bytes, int]:
        """Return a row that is not clean, rewritten, and the offset of its end; set `fault` if invalid."""
        guide, rfc = _GUIDE.read(data, start, final=final), _RFC.read(data, start, final=final)
        if self._fits(guide) and self._fits(rfc) and guide.end != rfc.end:
            # If the rule with the shorter row can't read the following rows, the other rule is right.
            rule, shorter, longer = (_RFC, rfc, guide) if rfc.end < guide.end else (_GUIDE, guide, rfc)
            if self._reads_on(rule, data, shorter.end, longer.end, final=final):
                return self._fail(AMBIGUOUS, start)
            row = longer
        elif self._fits(guide):
            row = guide
        elif self._fits(rfc):
            row = rfc
        else:
            return self._pass_line(data, start, {guide.end, rfc.end}, final=final)
        if row is rfc:
            return data[start : row.end], row.end
        return b",".join(map(_as_rfc4180, row.fields)) + data[row.line_end : row.end], row.end

    def _pass_line(self, data: bytes, start: int, ends: set[int], *, final: bool) -> tuple[bytes, int]:
        """Return a row with the wrong number of columns unchanged if it is one line; else set `fault`."""
        line = data.find(b"\n", start) + 1 or (len(data) if final else 0)
        if line == 0:
            return self._fail(TOO_LONG.format(self._block), start)
        loose = _LOOSE.read(data, start, final=final)
        # The reader refuses a row with too many or too few columns, and states their number.
        if self._fits(loose) or line in ends:
            return data[start:line], line
        return self._fail(UNREADABLE, start)

    def _fits(self, row: _Row) -> bool:
        return row.end > 0 and len(row.fields) == self._columns

    def _reads_on(self, rule: _Rule, data: bytes, start: int, until: int, *, final: bool) -> bool:
        """Return whether a rule reads row after row up to the offset `until`, or beyond it."""
        while start < until:
            row = rule.read(data, start, final=final)
            if not self._fits(row):
                return False
            start = row.end
        return True

    def _fail(self, fault: str, start: int) -> tuple[bytes, int]:
        self.fault = fault
        return b"", start


def _next(data: bytes, byte: bytes, previous: int, start: int) -> int:
    """Return the offset of a byte at or after `start`, or the length of the data.

    `previous` is the offset returned before, which is still valid unless `start` has passed it.
    """
    if previous >= start:
        return previous
    offset = data.find(byte, start)
    return len(data) if offset < 0 else offset


def _as_rfc4180(field: bytes) -> bytes:
    """Return a field with the guide's escapes as a field of RFC 4180."""
    if field.startswith(b'"'):
        text = _QUOTED_ESCAPE.sub(lambda match: match[1] or b'"', field[1:-1])
    elif b"\\" in field:
        text = _ESCAPE.sub(rb"\1", field)
    else:
        return field
    return b'"' + text.replace(b'"', b'""') + b'"'
