"""`python -m services.engine keys list|create|rotate|revoke`."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from services.engine.app.bootstrap import SERVICE_SCOPES, TENANT, TENANT_SCOPES
from services.engine.store.keys import Keys, Origins
from shared.auth import PAIR_SCOPES, Scope, new_access_key, new_api_key, normalized_origin
from shared.errors import Permanent
from shared.postgres import Database

if TYPE_CHECKING:
    from services.engine.settings import Settings
    from shared.postgres import Connection

Action = Callable[["Settings", "Connection", argparse.Namespace], Awaitable[str]]


def command(settings: Settings, arguments: list[str]) -> int:
    """Run the command."""
    given = _parser().parse_args(arguments)
    try:
        sys.stdout.write(asyncio.run(_run(settings, given)) + "\n")
    except (Permanent, ValueError) as error:
        sys.stderr.write(f"keys: {error}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m services.engine keys",
        description=(
            "API keys and AWS key pairs. A key is shown once, when it is made; Endcap keeps its hash (of "
            "an AWS secret, its ciphertext)."
        ),
    )
    actions = parser.add_subparsers(dest="action", required=True)
    listing = actions.add_parser("list", help="every key, without the key itself")
    listing.set_defaults(run=_list)

    create = actions.add_parser("create", help="make a key and print it")
    create.set_defaults(run=_create)
    create.add_argument("scope", choices=[*TENANT_SCOPES, "service", "aws"], help="what the key is for")
    create.add_argument("--tenant", default=TENANT, help="whose API key (default: %(default)s)")
    create.add_argument("--account", help="whose AWS key pair (default: the account of the settings)")
    create.add_argument("--days", type=float, help="days until an API key ends (default: never)")
    create.add_argument(
        "--scopes",
        type=_pair_scopes,
        help=f"what an AWS key pair may do, comma-separated (default: {','.join(PAIR_SCOPES)})",
    )
    create.add_argument(
        "--origin",
        action="append",
        metavar="ORIGIN",
        help="an origin whose pages may use an API key, such as https://shop.example; may be repeated "
        "(default: every origin)",
    )
    create.add_argument(
        "--require-origin",
        action="store_true",
        help="refuse requests without an Origin header, which servers and SDKs send (default: accept them)",
    )
    create.add_argument("--label", default="", help="a note for the list")

    rotate = actions.add_parser("rotate", help="make a key like another, which then ends after a while")
    rotate.set_defaults(run=_rotate)
    rotate.add_argument("id", help="the id of an API key, or an access key id; see `keys list`")
    rotate.add_argument(
        "--hours", type=float, default=24.0, help="how long the old one still works (default: %(default)s)"
    )

    revoke = actions.add_parser("revoke", help="end a key; services forget it within a minute")
    revoke.set_defaults(run=_revoke)
    revoke.add_argument("id", help="the id of an API key, or an access key id; see `keys list`")
    return parser


async def _run(settings: Settings, given: argparse.Namespace) -> str:
    database = Database(settings.postgres, "engine")
    await database.start()
    try:
        async with database.transaction() as connection:
            action: Action = given.run
            return await action(settings, connection, given)
    finally:
        await database.stop()


async def _list(_: Settings, connection: Connection, __: argparse.Namespace) -> str:
    rows = [("ID", "TENANT", "SCOPES", "ORIGINS", "MADE", "ENDS", "LABEL")]
    rows += [
        (
            str(key["id"]),
            str(key["tenant"] or "(service)"),
            ",".join(key["scopes"]),
            _shown_origins(key["allowed_origins"], required=key["requires_origin"]),
            f"{key['created_at']:%Y-%m-%d}",
            f"{key['expires_at']:%Y-%m-%d %H:%M}" if key["expires_at"] else "never",
            str(key["label"]),
        )
        for key in await Keys(connection).listed()
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


async def _create(settings: Settings, connection: Connection, given: argparse.Namespace) -> str:
    keys = Keys(connection)
    origins = _origins(given)
    if given.scope == "aws":
        return await _create_pair(settings, keys, given)
    if given.scopes is not None:
        raise Permanent(
            "--scopes is for AWS key pairs (`create aws`); an API key has the scopes of its kind."
        )
    if given.scope == "service":
        key = new_api_key("service")
        await keys.add(key, tenant=None, scopes=SERVICE_SCOPES, label=given.label)
        return key
    if await keys.account_of(given.tenant) is None:
        raise Permanent(f"There is no tenant {given.tenant}; a dataset group makes one.")
    key = new_api_key(given.scope)
    expires_at = None if given.days is None else datetime.now(UTC) + timedelta(days=given.days)
    await keys.add(
        key,
        tenant=given.tenant,
        scopes=TENANT_SCOPES[given.scope],
        label=given.label,
        expires_at=expires_at,
        origins=origins,
    )
    return key


def _origins(given: argparse.Namespace) -> Origins:
    """Return the origins of the arguments; Permanent where they do not fit the key."""
    if given.origin is None:
        if given.require_origin:
            raise Permanent("--require-origin needs --origin: it says which origins may use the key.")
        return Origins()
    if given.scope in {"service", "aws"}:
        raise Permanent("--origin is for the API keys of a tenant, which web pages may hold.")
    allowed = tuple(dict.fromkeys(normalized_origin(origin) for origin in given.origin))
    return Origins(allowed, given.require_origin)


def _shown_origins(allowed: list[str] | None, *, required: bool) -> str:
    if allowed is None:
        return "any"
    return ",".join(allowed) + ("" if required else ",none")


def _pair_scopes(text: str) -> tuple[str, ...]:
    """Return the scopes of a comma-separated list, in their usual order."""
    scopes = {scope.strip() for scope in text.split(",")}
    unknown = sorted(scopes - set(PAIR_SCOPES))
    if unknown:
        message = f"{', '.join(unknown)!r}: an AWS key pair may have {', '.join(PAIR_SCOPES)}"
        raise argparse.ArgumentTypeError(message)
    return tuple(scope for scope in PAIR_SCOPES if scope in scopes)


async def _create_pair(settings: Settings, keys: Keys, given: argparse.Namespace) -> str:
    account = given.account or settings.account
    if not (account.isdigit() and len(account) == len(settings.account)):
        raise Permanent(f"{account!r} is no account: it has twelve digits.")
    return await _new_pair(settings, keys, account, given.scopes or PAIR_SCOPES, given.label)


async def _new_pair(settings: Settings, keys: Keys, account: str, scopes: Sequence[str], label: str) -> str:
    secret_key = settings.auth.endcap_secret_key
    if secret_key is None:
        raise Permanent("ENDCAP_SECRET_KEY is not set: it encrypts the AWS secrets.")
    identifier, secret = new_access_key()
    await keys.add_account(account)
    await keys.add_pair(
        identifier,
        secret,
        account=account,
        secret_key=secret_key.get_secret_value(),
        label=label,
        scopes=scopes,
    )
    return f"AWS_ACCESS_KEY_ID={identifier}\nAWS_SECRET_ACCESS_KEY={secret}"


async def _rotate(settings: Settings, connection: Connection, given: argparse.Namespace) -> str:
    """A new key for what the old one was for; the old one ends when its users had time to change over."""
    keys = Keys(connection)
    ended = await keys.end(given.id, datetime.now(UTC) + timedelta(hours=given.hours))
    if ended is None:
        raise Permanent(f"There is no active key {given.id}; `keys list` shows the ids.")
    if ended.account is not None:
        return await _new_pair(settings, keys, ended.account, ended.scopes, ended.label)
    key = new_api_key(_word_for(ended.scopes))
    await keys.add(key, tenant=ended.tenant, scopes=ended.scopes, label=ended.label, origins=ended.origins)
    return key


def _word_for(scopes: tuple[str, ...]) -> Scope:
    """The name under which `create` knows these scopes."""
    known: dict[frozenset[str], Scope] = {frozenset(held): word for word, held in TENANT_SCOPES.items()}
    return known.get(frozenset(scopes), "service")


async def _revoke(_: Settings, connection: Connection, given: argparse.Namespace) -> str:
    if not await Keys(connection).revoke(given.id):
        raise Permanent(f"There is no active key {given.id}; `keys list` shows the ids.")
    return f"{given.id} is revoked; processes that have seen it forget it within a minute."
