"""`python -m services.engine [serve|worker|bootstrap|keys|apply|export|migrate|settings|openapi]`."""

from services.engine import app
from services.engine.app import bootstrap, declaring, keys
from services.engine.settings import Settings
from shared.runtime import main

main(
    Settings,
    {"serve": app.build, "worker": app.worker},
    commands={
        "bootstrap": bootstrap.command,
        "keys": keys.command,
        "apply": declaring.apply,
        "export": declaring.export,
    },
)
