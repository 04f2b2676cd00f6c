"""`python -m services.trainer [serve|worker|migrate|settings|openapi]`, or schedules, for people."""

from services.trainer import app
from services.trainer.settings import Settings
from shared.http.runtime import main

main(
    Settings,
    {"serve": app.build, "worker": app.worker},
    {"schedules": "services.trainer.commands.schedules:run"},
)
