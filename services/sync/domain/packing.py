"""Packed or plain bytes in pieces → plain bytes in pieces of bounded size."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from shared.errors import Permanent

PIECE = 2**18
_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_WINDOW = 31


class Unpacker:
    """Tells gzip by its first bytes, whatever the file is called; plain bytes pass through.

    However well a file is packed, no piece that comes out is larger than `PIECE`.
    """

    def __init__(self) -> None:
        self._head = b""
        self._is_gzip: bool | None = None
        self._unzip = zlib.decompressobj(_GZIP_WINDOW)
        self._inside = False

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """What another piece of the file holds. Permanent when it is damaged."""
        if self._is_gzip is None:
            piece = self._head + piece
            if len(piece) < len(_GZIP_MAGIC):
                self._head = piece
                return
            self._is_gzip = piece.startswith(_GZIP_MAGIC)
        if self._is_gzip:
            yield from self._unpacked(piece)
        else:
            yield piece

    def close(self) -> Iterator[bytes]:
        """What is left when the file has ended. Permanent when gzip data ends too early."""
        if self._is_gzip is None and self._head:
            yield self._head
        if self._inside:
            raise Permanent("The file is damaged: its gzip data ends too early.")

    def _unpacked(self, piece: bytes) -> Iterator[bytes]:
        while piece:
            if self._unzip.eof:
                # Several gzip files behind each other are one; zeros behind the last are padding.
                piece = piece.lstrip(b"\0")
                if not piece:
                    return
                self._unzip = zlib.decompressobj(_GZIP_WINDOW)
            self._inside = True
            try:
                plain = self._unzip.decompress(piece, PIECE)
            except zlib.error as error:
                raise Permanent(f"The file is damaged: {error}.") from error
            if plain:
                yield plain
            piece = self._unzip.unconsumed_tail or self._unzip.unused_data
            self._inside = not self._unzip.eof
