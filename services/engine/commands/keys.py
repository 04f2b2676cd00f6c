"""`python -m services.engine keys list|create|rotate|revoke`."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from services.engine.commands.scopes import SERVICE_SCOPES, TENANT
from services.engine.commands.transaction import run_action
from services.engine.domain.key_expiry import parse_expiry
from services.engine.store.keys import BOUND_TO_ORIGINS, TENANT_SCOPES, Keys, Origins, kind_of
from shared.auth import PAIR_SCOPES, new_access_key, new_api_key, normalized_origin
from shared.errors import Permanent

if TYPE_CHECKING:
    from services.engine.settings import Settings
    from shared.postgres import Connection


def command(settings: Settings, arguments: list[str]) -> int:
    """Run `keys`; return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        sys.stdout.write(asyncio.run(run_action(settings, options)) + "\n")
    except (Permanent, ValueError) as error:
        sys.stderr.write(f"keys: {error}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m services.engine keys",
        description=(
            "API keys and AWS key pairs. A key is shown once, when it is created; Endcap stores its hash, or "
            "the ciphertext of an AWS secret."
        ),
    )
    actions = parser.add_subparsers(dest="action", required=True)
    listing = actions.add_parser("list", help="list all keys, without the keys themselves")
    listing.set_defaults(run=_list)

    create = actions.add_parser("create", help="create a key and print it")
    create.set_defaults(run=_create)
    create.add_argument("scope", choices=[*TENANT_SCOPES, "service", "aws"], help="the kind of the key")
    create.add_argument("--tenant", default=TENANT, help="tenant of an API key (default: %(default)s)")
    create.add_argument("--account", help="account of an AWS key pair (default: the account of the settings)")
    expiry = create.add_mutually_exclusive_group()
    expiry.add_argument(
        "--expires",
        type=_expiry,
        metavar="WHEN",
        help="when an API key expires: after a duration such as 7d or 12h, or at an ISO 8601 time "
        "(default: never)",
    )
    expiry.add_argument("--days", type=float, help="days until an API key expires; the same as --expires")
    create.add_argument(
        "--scopes",
        type=_pair_scopes,
        help=f"scopes of an AWS key pair, separated by commas (default: {','.join(PAIR_SCOPES)})",
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

    rotate = actions.add_parser(
        "rotate", help="create a key with the same purpose as another one, which then expires"
    )
    rotate.set_defaults(run=_rotate)
    rotate.add_argument("id", help="the id of an API key, or an access key id; see `keys list`")
    rotate.add_argument(
        "--hours", type=float, default=24.0, help="hours until the old key expires (default: %(default)s)"
    )

    revoke = actions.add_parser("revoke", help="end a key; services accept it for up to a minute")
    revoke.set_defaults(run=_revoke)
    revoke.add_argument("id", help="the id of an API key, or an access key id; see `keys list`")
    return parser


async def _list(_: Settings, connection: Connection, __: argparse.Namespace) -> str:
    rows = [("ID", "TENANT", "SCOPES", "ORIGINS", "CREATED", "EXPIRES", "LABEL")]
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
        for key in await Keys(connection).list_keys()
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


async def _create(settings: Settings, connection: Connection, options: argparse.Namespace) -> str:
    keys = Keys(connection)
    origins = _origins(options)
    if options.scope in {"service", "aws"} and _expires_at(options) is not None:
        raise Permanent(
            "--expires is for the API keys of a tenant; end another key with `rotate` or `revoke`."
        )
    if options.scope == "aws":
        return await _create_pair(settings, keys, options)
    if options.scopes is not None:
        raise Permanent(
            "--scopes is for AWS key pairs (`create aws`); an API key has the scopes of its kind."
        )
    if options.scope == "service":
        key = new_api_key("service")
        await keys.add(key, tenant=None, scopes=SERVICE_SCOPES, label=options.label)
        return key
    if await keys.account_of(options.tenant) is None:
        raise Permanent(f"There is no tenant {options.tenant}; a dataset group creates one.")
    key = new_api_key(options.scope)
    await keys.add(
        key,
        tenant=options.tenant,
        scopes=TENANT_SCOPES[options.scope],
        label=options.label,
        expires_at=_expires_at(options),
        origins=origins,
    )
    return key


def _expiry(text: str) -> datetime:
    try:
        return parse_expiry(text, datetime.now(UTC))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _expires_at(options: argparse.Namespace) -> datetime | None:
    if options.days is not None:
        return datetime.now(UTC) + timedelta(days=options.days)
    expires_at: datetime | None = options.expires
    return expires_at


def _origins(options: argparse.Namespace) -> Origins:
    """Return the origins of the arguments; raise Permanent if they do not suit the key."""
    if options.origin is None:
        if options.scope in BOUND_TO_ORIGINS:
            raise Permanent(
                f"A {options.scope} key is for web pages: name their origins, --origin https://shop.example."
            )
        if options.require_origin:
            raise Permanent("--require-origin needs --origin, which says which origins may use the key.")
        return Origins()
    if options.scope in {"service", "aws"}:
        raise Permanent("--origin is for the API keys of a tenant, which web pages may hold.")
    allowed = tuple(dict.fromkeys(normalized_origin(origin) for origin in options.origin))
    return Origins(allowed, options.require_origin)


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


async def _create_pair(settings: Settings, keys: Keys, options: argparse.Namespace) -> str:
    account = options.account or settings.account
    if not (account.isdigit() and len(account) == len(settings.account)):
        raise Permanent(f"{account!r} is not an account: an account has twelve digits.")
    return await _new_pair(settings, keys, account, options.scopes or PAIR_SCOPES, options.label)


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


async def _rotate(settings: Settings, connection: Connection, options: argparse.Namespace) -> str:
    """Create a key with the purpose of an old one, and let the old one expire."""
    keys = Keys(connection)
    ended = await keys.end(options.id, datetime.now(UTC) + timedelta(hours=options.hours))
    if ended is None:
        raise Permanent(f"There is no active key {options.id}; `keys list` shows the ids.")
    if ended.account is not None:
        return await _new_pair(settings, keys, ended.account, ended.scopes, ended.label)
    key = new_api_key(kind_of(ended.scopes))
    await keys.add(key, tenant=ended.tenant, scopes=ended.scopes, label=ended.label, origins=ended.origins)
    return key


async def _revoke(_: Settings, connection: Connection, options: argparse.Namespace) -> str:
    if not await Keys(connection).revoke(options.id):
        raise Permanent(f"There is no active key {options.id}; `keys list` shows the ids.")
    return f"{options.id} is revoked; processes that have cached it accept it for up to a minute."
