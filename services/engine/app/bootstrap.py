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

from services.engine.domain.resources import Resource, Type
from services.engine.personalize import groups, trackers
from services.engine.personalize.control import Control
from services.engine.personalize.surface import OutboxAnnounce
from services.engine.store.keys import Keys
from services.engine.store.objects import Objects
from services.engine.store.resources import Resources
from shared.auth import SCOPES, new_access_key, new_api_key
from shared.errors import Permanent, Transient
from shared.personalize import PageTokens
from shared.postgres import Database

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
RETRY_SECONDS = 2.0


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
    given = parser.parse_args(arguments)
    try:
        asyncio.run(_bootstrap(settings, given.keys, given.wait))
    except (Permanent, Transient, ValueError) as error:
        sys.stderr.write(f"bootstrap: {error}\n")
        return 1
    return 0


async def _bootstrap(settings: Settings, path: Path, wait: float) -> None:
    keys = _read(path)
    database = Database(settings.postgres, "engine")
    await database.start()
    try:
        async with database.transaction() as connection:
            made = await _register(Installation(settings, keys, connection))
        _write(path, made)
        await _make_buckets(settings, wait)
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
    control = Control(
        Resources(installation.connection, settings.account, None, settings.s3.aws_region),
        settings,
        PageTokens(),
        OutboxAnnounce(installation.connection),
    )
    group = await _group(control)
    tracking_id = await _tracker(control, group, known.get("tracking_id"))
    made: dict[str, str] = {"tracking_id": tracking_id}
    for scope, scopes in TENANT_SCOPES.items():
        made[scope] = known.get(scope) or new_api_key(scope)
        await store.add(made[scope], tenant=TENANT, scopes=scopes, label=f"bootstrap {scope}")
    service = settings.auth.endcap_service_key
    made["service"] = known.get("service") or (
        service.get_secret_value() if service else new_api_key("service")
    )
    await store.add(made["service"], tenant=None, scopes=SERVICE_SCOPES, label="bootstrap service")
    made |= _key_pair(settings, known)
    await store.add_pair(
        made["access_key_id"],
        made["secret_access_key"],
        account=settings.account,
        secret_key=installation.secret_key,
        label="bootstrap",
    )
    return made


def _key_pair(settings: Settings, known: dict[str, str]) -> dict[str, str]:
    """The pair of the file, else the object store's own (so that one pair opens both), else a new one."""
    if known.get("access_key_id") and known.get("secret_access_key"):
        return {name: known[name] for name in ("access_key_id", "secret_access_key")}
    secret = settings.s3.aws_secret_access_key
    if settings.s3.aws_access_key_id and secret:
        return {
            "access_key_id": settings.s3.aws_access_key_id,
            "secret_access_key": secret.get_secret_value(),
        }
    identifier, made = new_access_key()
    return {"access_key_id": identifier, "secret_access_key": made}


async def _group(control: Control) -> Resource:
    await control.resources.lock_account()
    group = await control.resources.get(f"{Type.DATASET_GROUP}/{TENANT}")
    if group is None:
        group = await groups.make(control, groups.CreateDatasetGroup(name=TENANT))
    if group.owner != TENANT:
        raise Permanent(
            f"The dataset group {TENANT} was deleted once, so its tenant is called {group.owner} now; "
            "bootstrap makes keys for the tenant `default` only. Use `keys create` instead."
        )
    return group


async def _tracker(control: Control, group: Resource, tracking_id: str | None) -> str:
    existing = await control.resources.children(group.path, Type.EVENT_TRACKER)
    if existing:
        return str(existing[0].document["trackingId"])
    request = trackers.CreateEventTracker(name=TENANT, dataset_group_arn=group.arn)
    tracker = await trackers.make(control, request, group, tracking_id or str(uuid.uuid4()))
    return str(tracker.document["trackingId"])


async def _make_buckets(settings: Settings, wait: float) -> None:
    """Make the two buckets; the object store may come a little later than we do."""
    objects = Objects.of(settings.s3)
    deadline = asyncio.get_running_loop().time() + wait
    for bucket in (settings.s3.endcap_uploads_bucket, settings.s3.endcap_data_bucket):
        while True:
            try:
                made = await asyncio.to_thread(objects.ensure_bucket, bucket)
            except Transient as error:
                sys.stdout.write(f"waiting for the object store: {error}\n")
                sys.stdout.flush()
                if asyncio.get_running_loop().time() > deadline:
                    raise
                await asyncio.sleep(RETRY_SECONDS)
            else:
                sys.stdout.write(f"bucket {bucket} {'made' if made else 'is there'}\n")
                break


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
