"""Bytes in any pieces → decoded lines, with bounded memory, whatever the file is.

A byte that the encoding doesn't have becomes a lone surrogate, so that one damaged row costs nothing but
itself: whoever takes the line sees it and refuses that row alone.
"""

from __future__ import annotations

import io

from shared.errors import Permanent

MAX_ROW_CHARACTERS = 65_536
"""Characters of the longest row that is read; a longer one is refused, and never held in memory."""

_UTF8_MARK = b"\xef\xbb\xbf"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
# Bytes that Windows-1252 doesn't have, and two letters that stand in no Western shop's file.
_NO_WESTERN_TEXT = frozenset(b"\x81\x8d\x8f\x90\x9d\xfe\xff")


class LineReader:
    """Feed it pieces of a file, and it gives the whole lines with their ends."""

    def __init__(self, encoding: str | None = None) -> None:
        """Without an encoding it is found out from the first letters beyond ASCII."""
        self.encoding = encoding
        self.has_damage = False
        """Whether a line so far held what no text holds: an undecodable byte, or NUL."""
        self._rest = b""
        self._skipping = False
        self._started = False

    def feed(self, piece: bytes) -> list[str]:
        """The lines that are complete now. One that is too long comes cut off behind `LONGEST`."""
        if self._skipping:
            _, newline, after = piece.partition(b"\n")
            if not newline:
                return []
            piece, self._skipping = b"\n" + after, False
        data = self._rest + piece
        cut = data.rfind(b"\n") + 1
        self._rest = data[cut:]
        # Four bytes make a character at the most.
        if len(self._rest) > 4 * MAX_ROW_CHARACTERS:
            self._skipping = True
            self._rest = self._rest[: 4 * MAX_ROW_CHARACTERS + 1]
        return self._decoded(data[:cut])

    def close(self) -> list[str]:
        """The last line, if no line end follows it."""
        rest, self._rest = self._rest, b""
        return self._decoded(rest)

    def _decoded(self, data: bytes) -> list[str]:
        if not data:
            return []
        if not self._started:
            self._started = True
            if data.startswith(_UTF16_MARKS):
                raise Permanent("The file is UTF-16; save it as UTF-8 and send it again.")
            data = data.removeprefix(_UTF8_MARK)
        if data.isascii():
            text = data.decode("ascii")
            self.has_damage = self.has_damage or "\0" in text
        else:
            if self.encoding is None:
                self.encoding = detect_encoding(data)
            text = data.decode(self.encoding, errors="surrogateescape")
            self.has_damage = self.has_damage or "\0" in text or not _encodable(text)
        return list(io.StringIO(text, newline="\n"))


def detect_encoding(data: bytes) -> str:
    """`utf-8` or `cp1252` (Latin-1 with Windows' quotes), judged by the lines that are not ASCII.

    A file is Western when most of those lines are no UTF-8 and all their bytes are Western letters; else
    it is UTF-8, and its damaged rows are damaged.
    """
    lines = [line for line in data.split(b"\n") if not line.isascii()]
    wrong = [line for line in lines if not _is_utf8(line)]
    western = not any(_NO_WESTERN_TEXT.intersection(line) for line in wrong)
    return "cp1252" if western and 2 * len(wrong) > len(lines) else "utf-8"


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
