"""`python -m examples.shop [serve|settings]`: serve the demo shop, or print its settings."""

from __future__ import annotations

import argparse
import sys

import uvicorn
from pydantic import ValidationError

from examples.shop.app import build
from examples.shop.settings import Settings

_DESCRIPTION = "The demo shop: pages over a catalogue in Endcap, with Endcap's storefront kit."


def main() -> int:
    """Run a command; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m examples.shop",
        description=_DESCRIPTION,
        epilog=_settings_help(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", nargs="?", choices=["serve", "settings"], default="serve")
    options = parser.parse_args()
    try:
        settings = Settings.of_environment()
    except (OSError, ValidationError) as error:
        sys.stderr.write(f"shop: {error}\n")
        return 2
    if options.command == "settings":
        for name, value in settings.model_dump().items():
            sys.stdout.write(f"SHOP_{name.upper()}={value}\n")
        return 0
    uvicorn.run(
        build(settings), host=settings.host, port=settings.port, log_level="warning", server_header=False
    )
    return 0


def _settings_help() -> str:
    lines = ["environment variables:"]
    for name, field in Settings.model_fields.items():
        default = "" if field.default_factory or not field.default else f" (default {field.default})"
        lines.append(f"  SHOP_{name.upper():<18} {field.description}{default}")
    lines.append("Each SHOP_…_KEY may be in a file instead, which SHOP_…_KEY_FILE names.")
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main())
