"""Print the gateway's configuration for Docker Compose with other settings: `python3 -m deploy.gateway`.

Needs only Python 3.11. Mount the output in place of deploy/compose/gateway.conf.
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path

from deploy.gateway.compose import SETTINGS, configuration
from deploy.gateway.settings import GatewaySettings


def main() -> int:
    """Print the configuration with the settings of the variables `GATEWAY_…` and of the options."""
    parser = argparse.ArgumentParser(prog="python3 -m deploy.gateway", description=__doc__)
    parser.add_argument("--certificate", type=Path, help="path of the certificate in the container")
    parser.add_argument("--certificate-key", type=Path, help="path of its key in the container")
    options = parser.parse_args()
    if (options.certificate is None) != (options.certificate_key is None):
        parser.error("give both --certificate and --certificate-key, or neither")
    try:
        settings = GatewaySettings.of(
            {"GATEWAY_HOST": SETTINGS.host, "GATEWAY_METRICS_HOST": SETTINGS.metrics_host, **os.environ}
        )
    except ValueError as error:
        parser.error(str(error))
    own = replace(settings, certificate=options.certificate, certificate_key=options.certificate_key)
    sys.stdout.write(configuration(own))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
