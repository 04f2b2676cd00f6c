"""`python -m services.loader [serve|worker|migrate|settings|openapi]`."""

from services.loader import app
from services.loader.settings import Settings
from shared.http.runtime import main

main(Settings, {"serve": app.build, "worker": app.worker})
