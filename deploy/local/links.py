"""The addresses that `make run` ends with, and what to do there."""

from __future__ import annotations

from deploy.local.stack import Stack

_PAGES = (
    ("shop", "The demo shop", "/shop/"),
    ("dashboard", "The dashboard", "/dashboard/"),
    (None, "The API pages", "/docs/"),
)
"""Each page with its process; the gateway itself has the list of API pages."""

_STEPS = {
    "shop": "In the shop, follow the three steps on its first page.",
    "dashboard": "Sign in to the dashboard with the key that `make admin-key` prints: "
    "the page Live shows what you do in the shop.",
}


def links(stack: Stack) -> str:
    """Return a line for each page that this stack serves, and the steps for those with a process."""
    running = {process.name for process in stack.processes()}
    address = stack.address.url
    lines = [
        f"  {title:<14} {address}{path}"
        for process, title, path in _PAGES
        if process is None or process in running
    ]
    steps = [step for process, step in _STEPS.items() if process in running]
    numbered = [f"  {number}. {step}" for number, step in enumerate(steps, 1)]
    return "\n".join(["Open in a browser:", "", *lines, "", *([*numbered, ""] if numbered else [])])
