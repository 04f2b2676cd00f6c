"""`python -m services.analytics [serve|worker|migrate|settings|openapi|check|lake|sql]`.

`check [--tenant T] [--repair]`, `lake check|compact [--tenant T]`, `sql "SELECT …" [--tenant T]`.
"""

from services.analytics import app
from services.analytics.settings import Settings
from shared.http.runtime import main

main(
    Settings,
    {"serve": app.build, "worker": app.worker},
    {"check": app.check, "lake": app.lake, "sql": app.sql},
)
