"""`python -m services.engine bootstrap --keys <path>`: a new installation's first tenant, keys and buckets.

Doing it again changes nothing: what the file holds is registered, what it lacks is made.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from services.engine.app.buckets import make_buckets
from services.engine.domain.resources import Type
from services.engine.domain.state import DatasetGroup, EventTracker
from services.engine.personalize import dataset_groups, event_trackers
from services.engine.personalize.context import OperationContext
from services.engine.personalize.dispatcher import OutboxPublisher
from services.engine.store.keys import Keys
from services.engine.store.resources import Resources
from shared.auth import SCOPES, new_access_key, new_api_key
from shared.aws import PageTokens
from shared.errors import Permanent, Transient
from shared.postgres import Database
from shared.settings import S3Settings

if TYPE_CHECKING:
    from services.engine.settings import Settings
    from shared.auth import Scope
    from shared.postgres import Connection

TENANT = "default"
TENANT_SCOPES: dict[Scope, tuple[str, ...]] = {
    "ingest": ("ingest",),
    "read": ("read",),
    "catalogue": ("ingest", "catalogue"),
    "admin": ("ingest", "read", "catalogue", "admin"),
}
"""The API keys of a tenant. An `ingest` key is public: it is in the pages of the shop."""

SERVICE_SCOPES = SCOPES
TRAINER_SCOPES = ("catalogue", "admin")
"""What runs need: they import items and users, and make trainings and batches."""


def command(settings: Settings, arguments: list[str]) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m services.engine bootstrap",
        description=(
            "Make the tenant and dataset group `default`, its event tracker, its keys and the buckets. "
            "Idempotent: what the keys file holds is registered, what it lacks is made and written to it."
        ),
    )
    parser.add_argument("--keys", type=Path, required=True, help="JSON file of the keys, read and written")
    parser.add_argument(
        "--wait", type=float, default=90.0, help="seconds to wait for the object store (default %(default)s)"
    )
    parser.add_argument(
        "--bucket-policies",
        action="store_true",
        help="let each account of a versitygw into what it needs of the buckets: the clients' pair and "
        "<SERVICE>_AWS_ACCESS_KEY_ID",
    )
    given = parser.parse_args(arguments)
    try:
        asyncio.run(_bootstrap(settings, given.keys, given.wait, policies=given.bucket_policies))
    except (Permanent, Transient, ValueError) as error:
        sys.stderr.write(f"bootstrap: {error}\n")
        return 1
    return 0


async def _bootstrap(settings: Settings, path: Path, wait: float, *, policies: bool) -> None:
    keys = _read(path)
    database = Database(settings.postgres, "engine")
    await database.start()
    try:
        async with database.transaction() as connection:
            made = await _register(Installation(settings, keys, connection))
        _write(path, made)
        await make_buckets(settings, wait=wait, clients=made["access_key_id"] if policies else None)
    finally:
        await database.stop()
    sys.stdout.write(f"tenant {TENANT} is ready; its keys are in {path}\n")


@dataclass(frozen=True, slots=True)
class Installation:
    """What bootstrap works on: settings, the keys that are known, one transaction."""

    settings: Settings
    keys: dict[str, str]
    connection: Connection

    @property
    def secret_key(self) -> str:
        """The key that AWS secrets are encrypted with."""
        secret = self.settings.auth.endcap_secret_key
        if secret is None:
            raise Permanent(
                "ENDCAP_SECRET_KEY is not set: it encrypts the AWS secrets, and every process needs the "
                "same. Make one with `python -c 'from shared.auth import new_secret_key; "
                "print(new_secret_key())'`."
            )
        return secret.get_secret_value()


async def _register(installation: Installation) -> dict[str, str]:
    """Make and register everything in Postgres; gives the whole of the keys file."""
    settings, known = installation.settings, installation.keys
    store = Keys(installation.connection)
    await store.add_account(settings.account)
    context = OperationContext(
        Resources(installation.connection, settings.account, None, settings.s3.aws_region),
        settings,
        PageTokens(),
        OutboxPublisher(installation.connection),
    )
    group = await _group(context)
    tracking_id = await _tracker(context, group, known.get("tracking_id"))
    made: dict[str, str] = {"tracking_id": tracking_id}
    for scope, scopes in TENANT_SCOPES.items():
        made[scope] = known.get(scope) or new_api_key(scope)
        await store.add(made[scope], tenant=TENANT, scopes=scopes, label=f"bootstrap {scope}")
    service = settings.auth.endcap_service_key
    made["service"] = known.get("service") or (
        service.get_secret_value() if service else new_api_key("service")
    )
    await store.add(made["service"], tenant=None, scopes=SERVICE_SCOPES, label="bootstrap service")
    made |= _key_pair(known)
    await store.add_pair(
        made["access_key_id"],
        made["secret_access_key"],
        account=settings.account,
        secret_key=installation.secret_key,
        label="bootstrap",
        opens_store=made["access_key_id"] in {settings.s3.aws_access_key_id, S3Settings().aws_access_key_id},
    )
    trainer = S3Settings.of("trainer")
    if trainer.aws_access_key_id and trainer.aws_access_key_id != made["access_key_id"]:
        # With a pair of its own for the object store, the trainer signs its calls of Personalize with it.
        await store.add_pair(
            trainer.aws_access_key_id,
            _plain(trainer),
            account=settings.account,
            secret_key=installation.secret_key,
            label="bootstrap trainer",
            scopes=TRAINER_SCOPES,
        )
    return made


def _plain(pair: S3Settings) -> str:
    secret = pair.aws_secret_access_key
    return secret.get_secret_value() if secret else ""


def _key_pair(known: dict[str, str]) -> dict[str, str]:
    """The pair of the file, else that of the environment (which opens the store, too), else a new one."""
    if known.get("access_key_id") and known.get("secret_access_key"):
        return {name: known[name] for name in ("access_key_id", "secret_access_key")}
    environment = S3Settings()
    if environment.aws_access_key_id and environment.aws_secret_access_key:
        return {
            "access_key_id": environment.aws_access_key_id,
            "secret_access_key": _plain(environment),
        }
    identifier, made = new_access_key()
    return {"access_key_id": identifier, "secret_access_key": made}


async def _group(context: OperationContext) -> DatasetGroup:
    await context.resources.lock_account()
    await context.resources.end_deletions()
    group = await context.resources.load(DatasetGroup, f"{Type.DATASET_GROUP}/{TENANT}")
    if group is None:
        group = await dataset_groups.create_group(context, dataset_groups.CreateDatasetGroup(name=TENANT))
    if group.owner != TENANT:
        raise Permanent(
            f"The dataset group {TENANT} was deleted once, so its tenant is called {group.owner} now; "
            "bootstrap makes keys for the tenant `default` only. Use `keys create` instead."
        )
    return group


async def _tracker(context: OperationContext, group: DatasetGroup, tracking_id: str | None) -> str:
    existing = await context.resources.list_children(EventTracker, group.path)
    if existing:
        return existing[0].document.tracking_id
    request = event_trackers.CreateEventTracker(name=TENANT, dataset_group_arn=str(group.arn))
    tracker = await event_trackers.create_tracker(context, request, group, tracking_id or str(uuid.uuid4()))
    return tracker.document.tracking_id


def _read(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    try:
        document = json.loads(path.read_text())
    except ValueError as error:
        raise Permanent(f"{path} is no JSON ({error}); mend it, or move it away for new keys.") from None
    return {name: value for name, value in document.items() if isinstance(value, str)}


def _write(path: Path, keys: dict[str, str]) -> None:
    """Replace the file at once, readable by its owner alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(keys, file, indent=2, sort_keys=True)
        file.write("\n")
    fresh.replace(path)
