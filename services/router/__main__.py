"""`python -m services.router [serve|worker|migrate|settings|openapi|experiments|apply|simulate]`."""

from services.router import app
from services.router.settings import Settings
from shared.http.runtime import main

main(
    Settings,
    {"serve": app.build, "worker": app.worker},
    {
        "experiments": "services.router.commands.experiments:run",
        "apply": app.apply,
        "simulate": app.run_simulation,
    },
)
