"""Choices of a source that the parsers of vendors share."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.events.values import Text


class VendorOptions(BaseModel):
    """The ids by which a source's orders, items and users are known."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    order_prefix: Text = Field(
        "", max_length=40, description="put before order ids, if ids of two sources may collide"
    )
    item_id: Literal["product", "variant", "sku"] = Field(
        "product", description="the id of an item: that of the product, of the variant, or the SKU"
    )
    order_number: Literal["id", "name"] = Field(
        "id",
        description="the id of an order of Shopify: its id, or its name such as #1001, as its exports have",
    )
    user_id: Literal["id", "email", "phone"] = Field(
        "id", description="the id of a user; storefront events must use the same"
    )

    def order_id(self, identity: str | None) -> str | None:
        """Return the id of an order with the source's prefix; None stays None."""
        return None if identity is None else f"{self.order_prefix}{identity}"
