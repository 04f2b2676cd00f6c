"""`python -m services.tracker [serve|worker|migrate|settings|openapi]`."""

from services.tracker import app
from services.tracker.settings import Settings
from shared.http.runtime import main

main(Settings, {"serve": app.build, "worker": app.worker})
