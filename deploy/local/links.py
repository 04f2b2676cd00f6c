"""The addresses that `make run` ends with."""

from __future__ import annotations

from deploy.local.stack import Stack

_PAGES = (
    ("shop", "The demo shop", "/shop/"),
    ("dashboard", "The dashboard", "/dashboard/"),
    (None, "The API pages", "/docs/"),
)
"""Each page with its process; the gateway itself has the list of API pages."""


def links(stack: Stack) -> str:
    """Return a line for each page that this stack serves."""
    running = {process.name for process in stack.processes()}
    address = stack.address.url
    lines = [
        f"  {title:<14} {address}{path}"
        for process, title, path in _PAGES
        if process is None or process in running
    ]
    return "\n".join(["Open in a browser:", "", *lines, ""])
