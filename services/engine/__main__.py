"""`python -m services.engine [serve|worker|migrate|settings|openapi]`, or a command for people.

These are bootstrap, keys, buckets, apply, export and dead-letters.
"""

from services.engine.settings import Settings
from shared.http.runtime import main

main(
    Settings,
    {"serve": "services.engine.app:build", "worker": "services.engine.app:worker"},
    commands={
        "bootstrap": "services.engine.commands.bootstrap:command",
        "keys": "services.engine.commands.keys:command",
        "buckets": "services.engine.commands.grants:command",
        "apply": "services.engine.commands.declarations:apply",
        "export": "services.engine.commands.declarations:export",
        "dead-letters": "services.engine.commands.dead_letters:command",
    },
)
