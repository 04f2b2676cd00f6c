"""`python -m services.sync sync [--full]`: let sources be asked now, and wait for the end of their runs."""

from __future__ import annotations

import argparse
import sys
import time
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from services.sync.settings import Settings

_POLL_SECONDS = 1.0
_TIMEOUT_SECONDS = 30.0


def sync(settings: Settings, arguments: list[str]) -> int:
    """Run sources of a running sync, print what each has read, and return 0 if all have ended well."""
    options = _parser().parse_args(arguments)
    key = settings.load.endcap_admin_key
    if key is None:
        sys.stderr.write('Set ENDCAP_ADMIN_KEY, as `eval "$(make -s env)"` does.\n')
        return 2
    headers = {"x-api-key": key.get_secret_value(), "x-endcap-tenant": options.tenant}
    try:
        with httpx.Client(
            base_url=settings.load.endcap_sync_url, headers=headers, timeout=_TIMEOUT_SECONDS
        ) as service:
            return _run(service, options.source, full=options.full)
    except httpx.HTTPError as error:
        sys.stderr.write(f"sync at {settings.load.endcap_sync_url} has no usable answer: {error}\n")
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m services.sync sync",
        description="Ask the sources of a tenant for their orders now. Endcap must be running.",
    )
    parser.add_argument(
        "--full", action="store_true", help="read all days, not only those since the last run"
    )
    parser.add_argument("--source", help="the name of one source; default: all that are switched on")
    parser.add_argument("--tenant", default="default", help="for a service key; default: %(default)s")
    return parser


def _run(service: httpx.Client, name: str | None, *, full: bool) -> int:
    before = {source["name"]: source["pulled_at"] for source in _sources(service, name)}
    if not before:
        which = "There is no source" if name is None else f"There is no source {name}"
        sys.stderr.write(f"{which} that can be asked and is switched on; POST /v1/sources adds one.\n")
        return int(name is not None)
    for source in before:
        service.post(f"/v1/sources/{source}/run", json={"full": full}).raise_for_status()
    failed = False
    while before:
        time.sleep(_POLL_SECONDS)
        for source in _sources(service, name):
            if source["name"] in before and source["pulled_at"] != before[source["name"]]:
                del before[source["name"]]
                failed = failed or source["pull_error"] is not None
                sys.stdout.write(f"{_summary(source)}\n")
    return int(failed)


def _sources(service: httpx.Client, name: str | None) -> list[dict[str, Any]]:
    """Return the sources that can be asked."""
    answer = service.get("/v1/sources")
    answer.raise_for_status()
    return [
        source
        for source in answer.json()["sources"]
        if source["kind"] != "webhook" and source["enabled"] and name in {None, source["name"]}
    ]


def _summary(source: dict[str, Any]) -> str:
    if source["pull_error"]:
        return f"{source['name']}: failed: {source['pull_error']}"
    lines = [f"{source['name']}: {source['pulled_objects']:,} orders, items and users read"]
    return "\n".join([*lines, *(f"  {warning}" for warning in source["pull_warnings"])])
