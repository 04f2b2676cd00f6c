"""The bodies of sync's responses."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, Self

from pydantic import BaseModel, Field

from services.sync.domain.imports import Import, Status
from services.sync.domain.mapping import Kind


class Accepted(BaseModel):
    """An import that is queued."""

    id: str
    kind: Kind
    source: str = Field(description="the mapping that reads the file")
    status: Literal["queued"]


class ImportedObject(BaseModel):
    """The import of a version of an object: a new one, or the one that it has."""

    id: str
    kind: Kind
    status: Status


class Rows(BaseModel):
    """Numbers of rows by outcome; at the end, read = accepted + rejected + duplicate."""

    read: int
    accepted: int
    rejected: int
    duplicate: int


class ImportReport(BaseModel):
    """An import and its progress."""

    id: str
    kind: Kind
    source: str | None = Field(description="the mapping that reads the file, once it is chosen")
    file: str
    origin: Literal["request", "upload"]
    size: int = Field(description="bytes")
    encoding: str | None
    status: Status
    step: str
    progress: float = Field(description="0 to 1")
    rows: Rows
    reasons: dict[str, int] = Field(description="rejected rows by reason")
    shortened: dict[str, int] = Field(
        {}, description="cells without a field that were cut to the size of a property, by column"
    )
    rejects_kept: int = Field(description="how many rejected rows, from the first on, can be downloaded")
    rejects_deleted_at: datetime | None = Field(description="when the rejected rows were deleted")
    changes: dict[str, int] = Field(description="numbers of new and changed orders, items and so on")
    relayed: bool = Field(description="the import is done, and Kafka has all of its events")
    error: str | None
    created_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None

    @classmethod
    def of(cls, import_: Import, *, relayed: bool) -> Self:
        """Return the report of an import."""
        return cls(
            id=import_.id,
            kind=import_.kind,
            source=import_.source,
            file=import_.filename,
            origin="upload" if import_.origin == "upload" else "request",
            size=import_.size,
            encoding=import_.encoding,
            status=import_.status,
            step=import_.step,
            progress=import_.progress,
            rows=Rows(
                read=import_.rows_read,
                accepted=import_.rows_accepted,
                rejected=import_.rows_rejected,
                duplicate=import_.rows_duplicate,
            ),
            reasons=import_.reasons,
            shortened=import_.shortened,
            rejects_kept=0 if import_.rejects_deleted_at else import_.rejects_kept,
            rejects_deleted_at=import_.rejects_deleted_at,
            changes=import_.changes,
            relayed=relayed,
            error=import_.error,
            created_at=import_.created_at,
            started_at=import_.started_at,
            finished_at=import_.finished_at,
        )


class ImportList(BaseModel):
    """Imports, the newest first."""

    imports: list[ImportReport]


class OrderLineDetails(BaseModel):
    """One line of an order."""

    product_id: str
    n: int
    product_name: str | None
    category: str | None
    price: float | None
    quantity: float
    currency: str | None
    ordered_at: datetime
    remaining: float | None = Field(
        None, description="the quantity that stays bought, if a source follows the order"
    )


class OrderDetails(BaseModel):
    """An order, or a cancellation."""

    kind: Literal["order", "cancellation"]
    order_id: str
    unified_customer_id: str | None
    customer_name: str | None
    city: str | None
    province: str | None
    country: str | None
    currency: str | None
    ordered_at: datetime
    source: str
    import_id: str | None
    revision: int = Field(0, description="the number of changes, if a source follows the order")
    status: str | None = Field(None, description="as the source calls it")
    changed_at: datetime | None = Field(None, description="the source's time of the newest version")
    lines: list[OrderLineDetails]


class OrderVersion(BaseModel):
    """A version of an order that a source follows."""

    revision: int
    source: str
    status: str | None
    changed_at: datetime | None
    stored_at: datetime
    lines: list[dict[str, Any]]


class OrdersResponse(BaseModel):
    """The order with an id, and the cancellation with the same id if there is one."""

    orders: list[OrderDetails]
    versions: list[OrderVersion] = Field(
        [], description="of one order that a source follows, the oldest first"
    )


class ItemDetails(BaseModel):
    """An item as it is now."""

    item_id: str
    name: str | None
    category: str | None
    price: float | None
    currency: str | None
    available: bool
    created_at: datetime | None
    attributes: dict[str, Any]
    updated_at: datetime


class UserDetails(BaseModel):
    """A user as they are now."""

    user_id: str
    name: str | None
    city: str | None
    province: str | None
    country: str | None
    attributes: dict[str, Any]
    updated_at: datetime


class ItemPage(BaseModel):
    """Items, in the order of the request."""

    items: list[ItemDetails]
    total: int = Field(description="all items that match; 10,000 stands for more")


class CategoryCount(BaseModel):
    """A category, and how many of its items can be bought."""

    name: str
    items: int


class Categories(BaseModel):
    """Categories, the largest first."""

    categories: list[CategoryCount]


class UserPage(BaseModel):
    """Users, sorted by id."""

    users: list[UserDetails]
