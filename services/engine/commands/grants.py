"""`python -m services.engine buckets allow|remove|list|keys|drop-keys`."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import sys
from typing import TYPE_CHECKING

from pydantic import SecretStr

from services.engine.commands.transaction import Action, run_action
from services.engine.domain.locations import Grant
from services.engine.store import buckets
from services.engine.store.buckets import Holder, StoreKeys
from services.engine.store.keys import Keys
from shared.errors import Permanent

if TYPE_CHECKING:
    from services.engine.settings import Settings
    from shared.postgres import Connection


def command(settings: Settings, arguments: list[str]) -> int:
    """Run `buckets`; return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        sys.stdout.write(asyncio.run(run_action(settings, options)) + "\n")
    except Permanent as error:
        sys.stderr.write(f"buckets: {error}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m services.engine buckets",
        description=(
            "The locations of the object store that the jobs of a tenant may use in addition to its own "
            "prefixes in the uploads and data buckets, and the keys for them."
        ),
    )
    actions = parser.add_subparsers(dest="action", required=True)

    def action(name: str, run: Action, about: str) -> argparse.ArgumentParser:
        added = actions.add_parser(name, help=about)
        added.set_defaults(run=run)
        return added

    allow = action("allow", _allow, "allow a bucket, or a folder in it")
    allow.add_argument("uri", help="s3://bucket, s3://bucket/folder/, or s3://* for every bucket")
    allow.add_argument("--read-only", action="store_true", help="only for the input of jobs")
    remove = action(
        "remove", _remove, "remove a grant; pending jobs may not use the location any more either"
    )
    remove.add_argument("uri", help="as `buckets list` shows it")
    keys = action("keys", _keys, "set the key pair that jobs use; its secret is read from standard input")
    keys.add_argument("access_key_id", help="access key id of a user of the object store")
    drop = action("drop-keys", _drop_keys, "delete the key pair, so that jobs use the engine's own keys")
    action("list", _list, "all grants")
    for parsed in (allow, remove, keys, drop):
        holder = parsed.add_mutually_exclusive_group(required=True)
        holder.add_argument("--tenant", help="for this tenant")
        holder.add_argument("--account", help="for all tenants of this account, also future ones")
    return parser


async def _allow(settings: Settings, connection: Connection, options: argparse.Namespace) -> str:
    holder = await _holder(connection, options)
    grant = Grant.parse(options.uri, buckets.shared_of(settings.s3), read_only=options.read_only)
    await buckets.allow(connection, holder, grant)
    return f"{_named(holder)} may {_verb(grant)} {grant.uri}"


async def _remove(settings: Settings, connection: Connection, options: argparse.Namespace) -> str:
    holder = await _holder(connection, options)
    grant = Grant.parse(options.uri, buckets.shared_of(settings.s3))
    if not await buckets.remove(connection, holder, grant):
        raise Permanent(f"{_named(holder)} has no grant of {grant.uri}; `buckets list` shows what there is.")
    return f"{_named(holder)} may not use {grant.uri} any more"


async def _keys(settings: Settings, connection: Connection, options: argparse.Namespace) -> str:
    holder = await _holder(connection, options)
    secret = getpass.getpass("Secret: ") if sys.stdin.isatty() else sys.stdin.readline()
    if not secret.strip():
        raise Permanent("The secret is read from standard input, which is empty.")
    keys = StoreKeys(options.access_key_id, SecretStr(secret.strip()))
    await buckets.set_keys(connection, holder, keys, settings)
    return f"jobs of {_named(holder)} use the key pair {options.access_key_id}"


async def _drop_keys(_: Settings, connection: Connection, options: argparse.Namespace) -> str:
    holder = await _holder(connection, options)
    if not await buckets.drop_keys(connection, holder):
        raise Permanent(f"{_named(holder)} has no keys of its own.")
    return f"jobs of {_named(holder)} use the engine's own keys"


async def _list(_: Settings, connection: Connection, __: argparse.Namespace) -> str:
    rows = [("ACCOUNT", "TENANT", "LOCATION", "MAY", "KEYS", "SINCE")]
    rows += [
        (
            granted.holder.account,
            granted.holder.tenant or "(every)",
            granted.grant.uri,
            _verb(granted.grant),
            granted.access_key_id or "the engine's",
            f"{granted.created_at:%Y-%m-%d}",
        )
        for granted in await buckets.list_grants(connection)
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


async def _holder(connection: Connection, options: argparse.Namespace) -> Holder:
    """Return the tenant or account of the arguments; raise Permanent if it does not exist."""
    keys = Keys(connection)
    if options.tenant is None:
        if not await keys.has_account(options.account):
            raise Permanent(
                f"There is no account {options.account}; `keys create aws --account` creates one."
            )
        return Holder(options.account)
    account = await keys.account_of(options.tenant)
    if account is None:
        raise Permanent(f"There is no tenant {options.tenant}; a dataset group creates one.")
    return Holder(account, options.tenant)


def _named(holder: Holder) -> str:
    return f"tenant {holder.tenant}" if holder.tenant else f"account {holder.account}"


def _verb(grant: Grant) -> str:
    return "read" if grant.read_only else "read and write"
