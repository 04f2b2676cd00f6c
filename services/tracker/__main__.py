"""`python -m services.tracker [serve|worker|migrate|settings|openapi]`."""

from services.tracker import app
from services.tracker.settings import Settings
from shared.runtime import main

main(Settings, {"serve": app.build, "worker": app.worker})
