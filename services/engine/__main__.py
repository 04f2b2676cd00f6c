"""`python -m services.engine [serve|worker|bootstrap|keys|buckets|apply|export|migrate|settings|openapi]`."""

from services.engine import app
from services.engine.app import bootstrap, declarations, grants, keys
from services.engine.settings import Settings
from shared.http.runtime import main

main(
    Settings,
    {"serve": app.build, "worker": app.worker},
    commands={
        "bootstrap": bootstrap.command,
        "keys": keys.command,
        "buckets": grants.command,
        "apply": declarations.apply,
        "export": declarations.export,
    },
)
