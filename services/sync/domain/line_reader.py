"""Decode pieces of a file into lines, with bounded memory.

A byte that is not valid in the encoding becomes a lone surrogate, so that only its row is rejected.
"""

from __future__ import annotations

import io

from shared.errors import Permanent

MAX_ROW_CHARACTERS = 65_536
"""Characters of one row. A longer row is rejected and never held in memory. Arbitrary."""

_UTF8_MARK = b"\xef\xbb\xbf"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
# Bytes that are undefined in Windows-1252, and two letters that do not occur in Western European text.
_NO_WESTERN_TEXT = frozenset(b"\x81\x8d\x8f\x90\x9d\xfe\xff")


class LineReader:
    """Returns the complete lines of a file, with their ends, as its pieces are fed."""

    def __init__(self, encoding: str | None = None) -> None:
        """Detect the encoding from the first bytes beyond ASCII if it is None."""
        self.encoding = encoding
        self.has_damage = False
        """True if any line so far contained an invalid byte or NUL."""
        self._rest = b""
        self._skipping = False
        self._started = False

    def feed(self, piece: bytes) -> list[str]:
        """Return the lines that the piece completes; a line that is too long is truncated."""
        if self._skipping:
            _, newline, after = piece.partition(b"\n")
            if not newline:
                return []
            piece, self._skipping = b"\n" + after, False
        data = self._rest + piece
        cut = data.rfind(b"\n") + 1
        self._rest = data[cut:]
        # A character has at most four bytes.
        if len(self._rest) > 4 * MAX_ROW_CHARACTERS:
            self._skipping = True
            self._rest = self._rest[: 4 * MAX_ROW_CHARACTERS + 1]
        return self._decode(data[:cut])

    def close(self) -> list[str]:
        """Return the last line if it has no line end."""
        rest, self._rest = self._rest, b""
        return self._decode(rest)

    def _decode(self, data: bytes) -> list[str]:
        """Return the lines in complete bytes of lines. Raises Permanent for UTF-16."""
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
    """Return `utf-8` or `cp1252` (Latin-1 with the quotes of Windows), by the lines that are not ASCII.

    The encoding is cp1252 if most of those lines are not valid UTF-8, and all of their bytes are letters of
    Western European languages; otherwise it is utf-8, and rows that are not valid are damaged.
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
