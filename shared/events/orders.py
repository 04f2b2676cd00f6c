"""Orders of the shop: placed, cancelled and refunded."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from shared.events.envelope import Event, Name, Text, derived_id
from shared.events.values import LARGEST_INT4, Finite


class OrderLine(BaseModel):
    """One line of an order. `n` counts the lines of the same item in the same order from 1."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    item_id: Name
    n: int = Field(1, ge=1, le=LARGEST_INT4)
    name: Text | None = None
    category: Text | None = None
    quantity: Finite = 1.0
    price: Finite | None = None


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

    @property
    def subject(self) -> str:
        """Return the user, or `order:<id>` for a guest."""
        return self.user_id or f"order:{self.order_id}"

    @property
    def key(self) -> str:
        """Return the Kafka key, `tenant:user`, or `tenant:order:<id>` for a guest."""
        return f"{self.tenant}:{self.subject}"


class OrderPlaced(_OrderEvent):
    """An order of the shop; `occurred_at` is when it was placed. Each line becomes a purchase."""


class OrderCancelled(_OrderEvent):
    """Cancelled lines. `cancels` names the order, if the source does."""

    cancels: Name | None = None


class OrderRefunded(_OrderEvent):
    """Money refunded for an order. `refunds` names the order, if the source does."""

    refunds: Name | None = None
    amount: Finite | None = None


def line_id(tenant: str, order_id: str, line: OrderLine, kind: str) -> str:
    """Return the interaction id of an order line, which every source of the order derives alike."""
    return derived_id(tenant, order_id, line.item_id, line.n, kind)
