"""`python -m services.router [serve|worker|migrate|settings|openapi]`, or a command for people.

These are experiments, apply, simulate and off-policy.
"""

from services.router import app
from services.router.settings import Settings
from shared.http.runtime import main

main(
    Settings,
    {"serve": app.build, "worker": app.worker},
    {
        "experiments": "services.router.commands.experiments:run",
        "apply": app.apply,
        "off-policy": "services.router.commands.off_policy:run",
        "simulate": app.run_simulation,
    },
)
