"""XML-RPC over the Unix socket on which a stack's supervisord listens."""

from __future__ import annotations

import hashlib
import http.client
import os
import socket
import tempfile
import xmlrpc.client
from pathlib import Path
from typing import Any

from deploy.local.failure import StackError

# sun_path has 108 bytes with its final NUL; supervisord binds a name a few characters longer first.
_LONGEST_SOCKET_PATH = 95


def call(path: Path, method: str, *arguments: object) -> Any:
    """Call a method; OSError where nobody listens, StackError where it is refused."""
    server = xmlrpc.client.ServerProxy("http://supervisor", _UnixTransport(path))
    with server:
        try:
            return getattr(server, method)(*arguments)
        except xmlrpc.client.Fault as fault:
            message = f"supervisord refused {method}{arguments}: {fault.faultString}"
            raise StackError(message) from fault


def socket_path(run: Path, name: str = "supervisord.sock") -> Path:
    """The socket of this name of the stack whose run folder this is."""
    path = run / name
    if len(os.fsencode(path)) <= _LONGEST_SOCKET_PATH:
        return path
    # A deep clone: a short private folder instead, found again by the root's digest.
    digest = hashlib.sha256(os.fsencode(run)).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / f"endcap-{os.getuid()}-{digest}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise StackError(f"{folder} belongs to somebody else; remove it or move the clone to a shorter path")
    return folder / name


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=30)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.sock.settimeout(self.timeout)
            self.sock.connect(str(self._path))
        except OSError:
            self.sock.close()
            raise


class _UnixTransport(xmlrpc.client.Transport):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: object) -> http.client.HTTPConnection:  # noqa: ARG002
        connection = _UnixConnection(self._path)
        self._connection = "supervisor", connection  # what `close` closes
        return connection
