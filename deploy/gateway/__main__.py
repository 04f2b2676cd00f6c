"""Print the gateway's configuration for Docker Compose with other settings: `python3 -m deploy.gateway`.

Needs only Python 3.11. Name the output in ENDCAP_GATEWAY_CONFIGURATION in `.env`. It is for nginx 1.27.3 and
later, as in Compose: nginx looks up the names of containers while it runs (`resolve`), which Debian's nginx
1.22 refuses. Natively `make run` writes the configuration, for the installed nginx, with the same variables.
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path

from deploy.gateway.compose import CERTIFICATES, VARIABLES, configuration
from deploy.gateway.settings import GatewaySettings


def main() -> int:
    """Print the configuration with the settings of the variables `GATEWAY_…` and of the options."""
    parser = argparse.ArgumentParser(
        prog="python3 -m deploy.gateway",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--certificate",
        type=Path,
        help=f"path of the certificate in the container, such as {CERTIFICATES}/fullchain.pem",
    )
    parser.add_argument(
        "--certificate-key",
        type=Path,
        help=f"path of its key in the container, such as {CERTIFICATES}/privkey.pem",
    )
    options = parser.parse_args()
    if (options.certificate is None) != (options.certificate_key is None):
        parser.error("give both --certificate and --certificate-key, or neither")
    try:
        settings = GatewaySettings.of({**VARIABLES, **os.environ})
    except ValueError as error:
        parser.error(str(error))
    own = replace(settings, certificate=options.certificate, certificate_key=options.certificate_key)
    sys.stdout.write(configuration(own))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
