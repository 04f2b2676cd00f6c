"""An ERP on a real HTTP port: two lists by whole days, a silent cap, and faults on request."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson

TOKEN = "erp-token"
LISTS = {"/get_pos_orders": "store", "/get_oe_orders": "online"}


@dataclass
class Erp:
    """The orders of the ERP by list and day, and what it does with the next requests."""

    orders: dict[str, dict[str, list[dict[str, Any]]]] = field(
        default_factory=lambda: {"store": {}, "online": {}}
    )
    cap: int = 1_000_000
    """The most orders of an answer, whatever the limit says."""
    faults: list[str] = field(default_factory=list)
    """429, 500, `cut` or `garbage` for the next requests, one each; `ok` lets one pass."""
    requests: list[dict[str, str]] = field(default_factory=list)
    url: str = ""

    def add(self, topic: str, day: str, number: int, **values: Any) -> None:
        """Add an order in the shape of its list."""
        lines = values.pop(
            "lines", [{"id": f"p{number % 7}", "title": "Cloth", "quantity": 1, "price": "1,200"}]
        )
        common: dict[str, Any] = {
            "customer_phone": f"0300{number % 50}",
            "customer_name": f"Name {number % 50}",
        }
        order = (
            {"id": number, "order_date": f"{day} 10:00:00", "order_status": "Delivered Orders",
             "customer_city": "Lahore", "customer_state": "Punjab", "has_items": lines}
            if topic == "online"
            else {"order_id": str(number), "created_at": day, "status": "completed",
                  "dealer": {"city": "Karachi", "province": "Sindh"}, "items": lines}
        )  # fmt: skip
        self.orders[topic].setdefault(day, []).append(common | order | values)

    def answer(self, topic: str, query: dict[str, str]) -> list[dict[str, Any]]:
        """Return the orders of the asked days, cut without a word."""
        first, last = query["start_date"], query["end_date"]
        days = sorted(day for day in self.orders[topic] if first <= day <= last)
        limit = min(int(query.get("limit", self.cap)), self.cap)
        return [order for day in days for order in self.orders[topic][day]][:limit]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer a request, or fail as the next fault says."""
        erp: Erp = self.server.erp  # type: ignore[attr-defined]
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query))
        erp.requests.append(query | {"path": parts.path})
        fault = erp.faults.pop(0) if erp.faults else "ok"
        if self.headers.get("authorization") != TOKEN:
            self._send(401, b"{}")
        elif fault in {"429", "500"}:
            self._send(int(fault), b"[]", {"retry-after": "0"})
        elif fault == "garbage":
            self._send(200, b'{"data": [{"id": 1')
        else:
            orders = erp.answer(LISTS[parts.path], query)
            body = orjson.dumps({"data": orders} if parts.path == "/get_oe_orders" else orders)
            self._send(200, body, cut=fault == "cut")

    def _send(
        self, status: int, body: bytes, headers: dict[str, str] | None = None, *, cut: bool = False
    ) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if cut else body)
        self.close_connection = cut

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class calls it so
        """Write no log."""


@contextmanager
def running_erp() -> Iterator[Erp]:
    """Serve an ERP on a port of loopback."""
    erp = Erp()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.erp = erp  # type: ignore[attr-defined]
    erp.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield erp
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
