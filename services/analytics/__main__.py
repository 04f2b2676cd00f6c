"""`python -m services.analytics [serve|worker|migrate|settings|openapi|check [--tenant T] [--repair]]`."""

from services.analytics import app
from services.analytics.settings import Settings
from shared.http.runtime import main

main(Settings, {"serve": app.build, "worker": app.worker}, {"check": app.check})
