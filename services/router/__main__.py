"""`python -m services.router [serve|worker|migrate|settings|openapi|apply <file>|simulate --key <key>]`."""

from services.router import app
from services.router.settings import Settings
from shared.http.runtime import main

main(
    Settings, {"serve": app.build, "worker": app.worker}, {"apply": app.apply, "simulate": app.run_simulation}
)
