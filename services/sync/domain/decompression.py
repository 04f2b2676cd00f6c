"""Packed or plain bytes in pieces → plain bytes in pieces of bounded size, and no more than is allowed."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from services.sync.domain.limits import MIN_RATIO_BYTES, Limits
from shared.errors import Permanent

PIECE_BYTES = 2**18
_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_WINDOW = 31
# zlib copies what it has not read yet, for each piece that comes out and at the end of each member.
_SLICE = 2**14


class Decompressor:
    """Tells gzip by its first bytes, whatever the file is called; plain bytes pass through.

    However well a file is packed, no piece that comes out is larger than `PIECE`. Permanent when more comes
    out than the limits allow, and when the file is damaged.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        """Without limits those of the settings' defaults apply."""
        self._limits = limits or Limits()
        self._head = b""
        self._is_gzip: bool | None = None
        self._unzip = zlib.decompressobj(_GZIP_WINDOW)
        self._inside = False
        self._packed_bytes = 0
        self._plain_bytes = 0

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """Yield what another piece of the file holds."""
        if self._is_gzip is None:
            piece = self._head + piece
            if len(piece) < len(_GZIP_MAGIC):
                self._head = piece
                return
            self._is_gzip = piece.startswith(_GZIP_MAGIC)
        if not self._is_gzip:
            self._packed_bytes += len(piece)
            self._count(len(piece))
            yield piece
            return
        for begin in range(0, len(piece), _SLICE):
            part = piece[begin : begin + _SLICE]
            self._packed_bytes += len(part)
            yield from self._unpacked(part)

    def close(self) -> Iterator[bytes]:
        """Yield what is left when the file has ended. Permanent when gzip data ends too early."""
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
                began = self._packed_bytes - len(piece)
                if not _GZIP_MAGIC.startswith(piece[:2]):
                    raise Permanent(
                        f"The file is damaged: its gzip data ends at byte {began:,}, "
                        "and what follows is no gzip."
                    )
            self._inside = True
            try:
                plain = self._unzip.decompress(piece, PIECE_BYTES)
            except zlib.error as error:
                at = self._packed_bytes - len(piece)
                raise Permanent(f"The file is damaged behind byte {at:,}: {error}.") from error
            if plain:
                self._count(len(plain))
                yield plain
            piece = self._unzip.unconsumed_tail or self._unzip.unused_data
            self._inside = not self._unzip.eof

    def _count(self, plain_bytes: int) -> None:
        self._plain_bytes += plain_bytes
        if self._plain_bytes > self._limits.max_unpacked_bytes:
            raise Permanent(
                f"The file holds more than {self._limits.max_unpacked_bytes:,} bytes when it is unpacked; "
                "split it."
            )
        allowed = max(MIN_RATIO_BYTES, self._limits.max_unpack_ratio * self._packed_bytes)
        if self._plain_bytes > allowed:
            raise Permanent(
                f"The file unpacks to more than {self._limits.max_unpack_ratio} times its size, as no file "
                "of a shop does; send it unpacked."
            )
