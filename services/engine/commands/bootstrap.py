"""`python -m services.engine bootstrap --keys <path>`: create the first tenant, the keys and the buckets.

It is idempotent: keys in the file are registered, missing keys are created.
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

from services.engine.commands.buckets import make_buckets
from services.engine.commands.scopes import SERVICE_SCOPES, TENANT, TRAINER_SCOPES
from services.engine.domain.resources import ResourceType
from services.engine.domain.state import DatasetGroup, EventTracker
from services.engine.personalize import dataset_groups, event_trackers
from services.engine.personalize.context import OperationContext
from services.engine.personalize.outbox_publisher import OutboxPublisher
from services.engine.store.keys import BOUND_TO_ORIGINS, FOR_PEOPLE, TENANT_SCOPES, Keys
from services.engine.store.resources import Resources
from shared.auth import new_access_key, new_api_key
from shared.aws import PageTokens
from shared.errors import Permanent, Transient
from shared.postgres import Database
from shared.settings import S3Settings

if TYPE_CHECKING:
    from services.engine.settings import Settings
    from shared.postgres import Connection


def command(settings: Settings, arguments: list[str]) -> int:
    """Run `bootstrap`; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m services.engine bootstrap",
        description=(
            "Create the tenant and dataset group `default`, its event tracker, its keys and the buckets. "
            "Idempotent: keys in the file are registered, missing keys are created and written to it."
        ),
    )
    parser.add_argument(
        "--keys", type=Path, required=True, help="JSON file of the keys, which is read and written"
    )
    parser.add_argument(
        "--wait", type=float, default=90.0, help="seconds to wait for the object store (default %(default)s)"
    )
    parser.add_argument(
        "--bucket-policies",
        action="store_true",
        help="set bucket policies that give each account of a versitygw only the access it needs: that of "
        "the clients' pair, and those of <SERVICE>_AWS_ACCESS_KEY_ID",
    )
    options = parser.parse_args(arguments)
    try:
        asyncio.run(_bootstrap(settings, options.keys, options.wait, policies=options.bucket_policies))
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
            registered = await _register(Installation(settings, keys, connection))
        _write(path, registered)
        await make_buckets(settings, wait=wait, clients=registered["access_key_id"] if policies else None)
    finally:
        await database.stop()
    sys.stdout.write(f"tenant {TENANT} is ready; its keys are in {path}\n")


@dataclass(frozen=True, slots=True)
class Installation:
    """The settings, the known keys and the transaction of a bootstrap."""

    settings: Settings
    keys: dict[str, str]
    connection: Connection

    @property
    def secret_key(self) -> str:
        """Return the key by which AWS secrets are encrypted; raise Permanent if it is not set."""
        secret = self.settings.auth.endcap_secret_key
        if secret is None:
            raise Permanent(
                "ENDCAP_SECRET_KEY is not set: it encrypts the AWS secrets, and all processes need the "
                "same key. Create one with `python -c 'from shared.auth import new_secret_key; "
                "print(new_secret_key())'`."
            )
        return secret.get_secret_value()


async def _register(installation: Installation) -> dict[str, str]:
    """Create and register everything in Postgres; return the content of the keys file."""
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
    keys: dict[str, str] = {"tracking_id": tracking_id}
    for scope, scopes in TENANT_SCOPES.items():
        if scope in BOUND_TO_ORIGINS | FOR_PEOPLE:
            continue
        keys[scope] = known.get(scope) or new_api_key(scope)
        await store.add(keys[scope], tenant=TENANT, scopes=scopes, label=f"bootstrap {scope}")
    service = settings.auth.endcap_service_key
    keys["service"] = known.get("service") or (
        service.get_secret_value() if service else new_api_key("service")
    )
    await store.add(keys["service"], tenant=None, scopes=SERVICE_SCOPES, label="bootstrap service")
    keys |= _key_pair(known)
    await _register_pairs(installation, store, keys)
    return keys


async def _register_pairs(installation: Installation, store: Keys, keys: dict[str, str]) -> None:
    """Register the key pair of the clients, and that of the trainer if it has its own."""
    settings = installation.settings
    await store.add_pair(
        keys["access_key_id"],
        keys["secret_access_key"],
        account=settings.account,
        secret_key=installation.secret_key,
        label="bootstrap",
        opens_store=keys["access_key_id"] in {settings.s3.aws_access_key_id, S3Settings().aws_access_key_id},
    )
    trainer = S3Settings.of("trainer")
    if trainer.aws_access_key_id and trainer.aws_access_key_id != keys["access_key_id"]:
        # A trainer with a pair of its own for the object store also signs its Personalize calls with it.
        await store.add_pair(
            trainer.aws_access_key_id,
            _plain(trainer),
            account=settings.account,
            secret_key=installation.secret_key,
            label="bootstrap trainer",
            scopes=TRAINER_SCOPES,
        )


def _plain(pair: S3Settings) -> str:
    secret = pair.aws_secret_access_key
    return secret.get_secret_value() if secret else ""


def _key_pair(known: dict[str, str]) -> dict[str, str]:
    """Return the pair in the file, else that of the environment, else a new one."""
    if known.get("access_key_id") and known.get("secret_access_key"):
        return {name: known[name] for name in ("access_key_id", "secret_access_key")}
    environment = S3Settings()
    if environment.aws_access_key_id and environment.aws_secret_access_key:
        return {
            "access_key_id": environment.aws_access_key_id,
            "secret_access_key": _plain(environment),
        }
    identifier, secret = new_access_key()
    return {"access_key_id": identifier, "secret_access_key": secret}


async def _group(context: OperationContext) -> DatasetGroup:
    await context.resources.lock_account()
    await context.resources.end_deletions()
    group = await context.resources.load(DatasetGroup, f"{ResourceType.DATASET_GROUP}/{TENANT}")
    if group is None:
        group = await dataset_groups.create_group(context, dataset_groups.CreateDatasetGroup(name=TENANT))
    if group.owner != TENANT:
        raise Permanent(
            f"The dataset group {TENANT} was deleted once, so its tenant is now named {group.owner}; "
            "bootstrap creates keys for the tenant `default` only. Use `keys create` instead."
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
        raise Permanent(
            f"{path} is not valid JSON ({error}); repair it, or move it away to create new keys."
        ) from None
    return {name: value for name, value in document.items() if isinstance(value, str)}


def _write(path: Path, keys: dict[str, str]) -> None:
    """Replace the file atomically, readable only by its owner."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(keys, file, indent=2, sort_keys=True)
        file.write("\n")
    temporary.replace(path)
