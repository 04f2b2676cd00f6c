"""`python -m services.sync [serve | worker | relay | load <file> | sync | …]`."""

from services.sync import app
from services.sync.api import load, sync
from services.sync.settings import Settings
from shared.http.runtime import main

main(
    Settings,
    {"serve": app.build, "worker": app.worker, "relay": app.relay},
    commands={"load": load, "sync": sync},
)
