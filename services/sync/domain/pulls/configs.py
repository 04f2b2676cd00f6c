"""Configurations of the sources that sync asks."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal, Self, TypeAlias
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, StringConstraints, field_validator, model_validator

from services.sync.domain.mapping import Kind, Mapping
from services.sync.domain.source_model import Model, Secrets
from services.sync.domain.webhooks.generic import Mapped
from services.sync.domain.webhooks.options import VendorOptions
from shared.events.values import BucketName, Text


def _url(text: str) -> str:
    """Return the URL without a slash at its end. Raises ValueError for one that is not HTTP."""
    if not text.startswith(("https://", "http://")) or any(mark in text for mark in ("?", "#", "@", " ")):
        message = "must be like https://erp.example.org/api, without user, query and fragment"
        raise ValueError(message)
    return text.rstrip("/")


Url = Annotated[Text, StringConstraints(max_length=500), AfterValidator(_url)]
Header = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{1,60}$")]
PathText = Annotated[Text, StringConstraints(pattern=r"^/[^?#\s]*$", max_length=300)]


class Pull(Model):
    """The members of all sources that sync asks."""

    every_hours: float = Field(6.0, gt=0, le=24 * 31, description="hours between two runs")
    full_every_days: float = Field(
        7.0, gt=0, le=400, description="days between runs that read everything again"
    )
    start_date: date | None = Field(
        None, description="the first day to read; by default 30 days before the first run"
    )
    reread_days: int = Field(
        14, ge=0, le=366, description="days that each run reads again, as orders change later"
    )
    timezone: Text = Field("UTC", description="time zone of days, and of times without an offset")
    requests_per_second: float = Field(2.0, gt=0, le=100)
    timeout_seconds: float = Field(60.0, gt=0, le=1_200)

    @field_validator("timezone")
    @classmethod
    def _check_timezone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(f"{name!r} is not a time zone; write it like Asia/Karachi") from error
        return name

    def missing_secret(self, secrets: Secrets) -> str | None:
        """Return a sentence if the secret that the source needs is missing, else None."""
        if "token" in secrets:
            return None
        return "The source needs secrets.token, which it sends to the shop system."


class Erp(Pull):
    """An ERP with a list of online orders and one of the stores' orders, by whole days and without pages."""

    kind: Literal["erp"]
    base_url: Url
    online_path: PathText | None = "/get_oe_orders"
    store_path: PathText | None = "/get_pos_orders"
    online_prefix: Text = Field(
        "oe-", max_length=40, description="before ids of online orders, which may collide"
    )
    store_prefix: Text = Field("pos-", max_length=40, description="before ids of stores' orders")
    item_id: Literal["id", "sku"] = Field(
        "id", description="the id of an item: the line's id, else its SKU, or the reverse"
    )
    limit: int = Field(
        1_000, ge=10, le=100_000, description="orders to ask for at once; a full answer is read in parts"
    )
    window_days: int = Field(1, ge=1, le=31, description="days of one request")
    timeout_seconds: float = Field(600.0, gt=0, le=1_200)
    currency: Text | None = Field(None, max_length=10)
    provinces: dict[Text, Text] = Field({}, max_length=500, description="spelling of a province → its name")


class Pages(Model):
    """The way from one page of answers to the next."""

    kind: Literal["none", "page", "offset", "cursor", "link"] = "none"
    param: Text = Field("page", max_length=60, description="the parameter with the page, offset or cursor")
    first: int = Field(1, ge=0, le=1, description="the number of the first page")
    size_param: Text | None = Field(None, max_length=60)
    size: int = Field(100, ge=1, le=10_000, description="objects of a full page")
    cursor: Text | None = Field(None, description="cursor: JSONPath of the next cursor in the answer")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.kind == "cursor" and not self.cursor:
            message = "cursor must say where the next cursor is, such as $.next"
            raise ValueError(message)
        return self


class Endpoint(Model):
    """A list of orders, items or users of a REST API."""

    path: PathText
    params: dict[Text, Text] = Field({}, max_length=20)
    mapping: Mapped
    pages: Pages = Pages()
    since_param: Text | None = Field(
        None, max_length=60, description="the parameter with the first day to read"
    )
    until_param: Text | None = Field(
        None, max_length=60, description="the parameter with the last day to read"
    )
    day_format: Text = Field("%Y-%m-%d", max_length=40)
    window_days: int = Field(1, ge=1, le=366, description="days of one request, if both parameters are set")


class Rest(Pull):
    """A REST API of an ERP or POS."""

    kind: Literal["rest"]
    base_url: Url
    auth_header: Header = "Authorization"
    auth_prefix: Text = Field("Bearer ", max_length=40, description="before the token; may be empty")
    endpoints: tuple[Endpoint, ...] = Field(min_length=1, max_length=20)


class ShopifyApi(Pull):
    """The Admin API of a Shopify shop, by a token of a custom app."""

    kind: Literal["shopify"]
    base_url: Url = Field(description="such as https://my-shop.myshopify.com")
    version: Annotated[str, StringConstraints(pattern=r"^\d{4}-\d{2}$")] = "2026-07"
    options: VendorOptions = VendorOptions()


class _Files(Pull):
    """A place with files, whose names begin with `orders`, `items`, `users` or `interactions`."""

    every_hours: float = Field(0.1, gt=0, le=24 * 31, description="hours between two looks")
    mappings: dict[Kind, Mapping] = Field({}, description="by kind: which column of its files is which field")

    def missing_secret(self, secrets: Secrets) -> str | None:
        """Return a sentence if half of a key pair is missing, else None."""
        if ("access_key_id" in secrets) != ("secret_access_key" in secrets):
            return "A key pair is secrets.access_key_id and secrets.secret_access_key."
        return None


class Bucket(_Files):
    """A bucket of the object store, and a prefix in it."""

    kind: Literal["bucket"]
    bucket: BucketName
    prefix: Annotated[Text, StringConstraints(pattern=r"^([^/].*/)?$", max_length=500)] = Field(
        "", description="empty, or a folder such as datasets/"
    )


class Folder(_Files):
    """A folder on the machine of sync's worker, below that of SYNC_SOURCE_FOLDER."""

    kind: Literal["folder"]
    path: Annotated[Text, StringConstraints(min_length=1, max_length=300)]


class Query(Pull):
    """Rows of a Postgres database of the shop.

    The query has the parameters `$1` and `$2`, the first and the last day as dates, or none. Columns have the
    names of fields; rows of orders are lines, sorted by `order_id`.
    """

    kind: Literal["postgres"]
    host: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:-]{1,253}$")]
    port: int = Field(5432, ge=1, le=65_535)
    database: Text = Field(min_length=1, max_length=63)
    user: Text = Field(min_length=1, max_length=63)
    ssl: Literal["disable", "require", "verify-full"] = "require"
    records: Literal["orders", "items", "users"] = "orders"
    query: Text = Field(min_length=1, max_length=20_000)
    timeout_seconds: float = Field(300.0, gt=0, le=3_600)

    def missing_secret(self, secrets: Secrets) -> str | None:
        """Return a sentence if the password is missing, else None."""
        return None if "password" in secrets else "The source needs secrets.password."


PullConfig: TypeAlias = Erp | Rest | ShopifyApi | Query | Bucket | Folder
