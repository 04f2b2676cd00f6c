"""`python -m services.dashboard [serve|migrate|settings|openapi]`."""

from services.dashboard import app
from services.dashboard.settings import Settings
from shared.http.runtime import main

main(Settings, {"serve": app.build})
