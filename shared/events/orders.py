"""Orders of the shop: placed, cancelled and refunded."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from shared.events.envelope import Event, Name, Text, derived_id
from shared.events.values import LARGEST_INT4, Finite, Instant


class OrderLine(BaseModel):
    """One line of an order. `n` counts the lines of the same item in the same order from 1.

    `remaining` is the quantity that stays bought after this event; a line with none is no purchase. Sources
    that do not follow their orders leave it out.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    item_id: Name
    n: int = Field(1, ge=1, le=LARGEST_INT4)
    name: Text | None = None
    category: Text | None = None
    quantity: Finite = 1.0
    price: Finite | None = None
    remaining: Finite | None = None


class _OrderEvent(Event):
    order_id: Name
    user_id: Name | None = None
    customer_name: Text | None = None
    city: Text | None = None
    province: Text | None = None
    country: Text | None = None
    currency: Text | None = None
    lines: tuple[OrderLine, ...] = ()
    source: Text = "import"
    historical: bool = False
    revision: int = Field(0, ge=0, le=LARGEST_INT4)
    placed_at: Instant | None = None

    @property
    def subject(self) -> str:
        """Return the user, or `order:<id>` for a guest."""
        return self.user_id or f"order:{self.order_id}"

    @property
    def key(self) -> str:
        """Return the Kafka key, `tenant:user`, or `tenant:order:<id>` for a guest."""
        return f"{self.tenant}:{self.subject}"


class OrderPlaced(_OrderEvent):
    """An order of the shop; `occurred_at` is when it was placed. Each line becomes a purchase.

    Sources that follow their orders number the versions of an order: a `revision` above 0 has the lines that
    were added to the order, or are bought again.
    """


class OrderCancelled(_OrderEvent):
    """Cancelled lines. `cancels` names the order, if the source does; `placed_at` is when it was placed."""

    cancels: Name | None = None


class OrderRefunded(_OrderEvent):
    """Refunded or returned lines. `refunds` names the order, if the source does; `placed_at` is its time."""

    refunds: Name | None = None
    amount: Finite | None = None


def line_id(tenant: str, order_id: str, line: OrderLine, kind: str) -> str:
    """Return the interaction id of an order line, which every source of the order derives alike."""
    return derived_id(tenant, order_id, line.item_id, line.n, kind)
