"""Decompress a stream of gzip or plain bytes into pieces of bounded size, within limits."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from services.sync.domain.limits import MIN_RATIO_BYTES, Limits
from shared.errors import Permanent

PIECE_BYTES = 2**18
_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_WINDOW = 31
_INPUT_BYTES = 2**14
"""Bytes given to zlib at once: it copies its unread input for each piece of output."""


class Decompressor:
    """Decompresses gzip, which it detects by the first bytes; other bytes pass unchanged.

    No output piece is larger than `PIECE_BYTES`. Raises Permanent if the output exceeds the limits, or the
    file is damaged.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        """Use the default limits of the settings if `limits` is None."""
        self._limits = limits or Limits()
        self._head = b""
        self._is_gzip: bool | None = None
        self._unzip = zlib.decompressobj(_GZIP_WINDOW)
        self._inside = False
        self._input_bytes = 0
        self._output_bytes = 0

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """Yield the decompressed content of the next piece of the file. Raises Permanent."""
        if self._is_gzip is None:
            piece = self._head + piece
            if len(piece) < len(_GZIP_MAGIC):
                self._head = piece
                return
            self._is_gzip = piece.startswith(_GZIP_MAGIC)
        if not self._is_gzip:
            self._input_bytes += len(piece)
            self._count(len(piece))
            yield piece
            return
        for start in range(0, len(piece), _INPUT_BYTES):
            part = piece[start : start + _INPUT_BYTES]
            self._input_bytes += len(part)
            yield from self._decompress(part)

    def close(self) -> Iterator[bytes]:
        """Yield the remaining output at the end of the file. Raises Permanent if gzip data is incomplete."""
        if self._is_gzip is None and self._head:
            yield self._head
        if self._inside:
            raise Permanent("The file is damaged: its gzip data ends too early.")

    def _decompress(self, piece: bytes) -> Iterator[bytes]:
        while piece:
            if self._unzip.eof:
                # Concatenated gzip files are one file, and zeros after the last are padding (RFC 1952, 2.2).
                piece = piece.lstrip(b"\0")
                if not piece:
                    return
                self._start_member(piece)
            self._inside = True
            try:
                plain = self._unzip.decompress(piece, PIECE_BYTES)
            except zlib.error as error:
                position = self._input_bytes - len(piece)
                raise Permanent(f"The file is damaged after byte {position:,}: {error}.") from error
            if plain:
                self._count(len(plain))
                yield plain
            piece = self._unzip.unconsumed_tail or self._unzip.unused_data
            self._inside = not self._unzip.eof

    def _start_member(self, piece: bytes) -> None:
        """Begin the next gzip file of several. Raises Permanent for bytes that are not gzip."""
        self._unzip = zlib.decompressobj(_GZIP_WINDOW)
        position = self._input_bytes - len(piece)
        if not _GZIP_MAGIC.startswith(piece[:2]):
            raise Permanent(
                f"The file is damaged: its gzip data ends at byte {position:,}, "
                "and the bytes after it are not gzip."
            )

    def _count(self, output_bytes: int) -> None:
        """Count decompressed bytes. Raises Permanent beyond the limits."""
        self._output_bytes += output_bytes
        if self._output_bytes > self._limits.max_unpacked_bytes:
            raise Permanent(
                f"The file decompresses to more than {self._limits.max_unpacked_bytes:,} bytes; split it."
            )
        allowed = max(MIN_RATIO_BYTES, self._limits.max_unpack_ratio * self._input_bytes)
        if self._output_bytes > allowed:
            raise Permanent(
                f"The file decompresses to more than {self._limits.max_unpack_ratio} times its size, as no "
                "file of a shop does; send it uncompressed."
            )
