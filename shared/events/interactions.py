"""What a user did with an item, whichever door it came through."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal

from pydantic import BaseModel, ConfigDict

from shared.events.envelope import Document, Event, Name, Text
from shared.events.values import Finite, Instant

Source = Literal["events", "backend", "personalize", "segment", "order", "import"]

_NOISE = re.compile(r"[^a-z0-9]+")

# Every wire format's spelling, lower-cased and without punctuation → the canonical name.
_CANONICAL = {
    spelling: canonical
    for canonical, spellings in {
        "view": ("view productviewed viewedproduct viewitem detailpageview productview itemview"),
        "click": "click productclicked selectitem itemclick",
        "add_to_cart": "addtocart productadded productaddedtocart cart cartadd",
        "remove_from_cart": "removefromcart productremoved productremovedfromcart",
        "view_cart": "viewcart cartviewed shoppingcartpageview",
        "begin_checkout": "begincheckout checkoutstarted",
        "purchase": ("purchase ordercompleted completedorder purchasecomplete checkoutcompleted buy"),
        "refund": "refund orderrefunded refundscreate",
        "order_update": "orderupdate orderupdated",
        "cancel": "cancel ordercancelled ordercanceled orderscancelled",
        "wishlist": "wishlist productaddedtowishlist addtowishlist",
        "search": "search productssearched viewsearchresults searchsubmitted",
        "list_view": (
            "listview productlistviewed viewedproductcategory viewitemlist categorypageview "
            "collectionviewed productlistfiltered"
        ),
        "impression": "impression",
        "exposure": "exposure experimentviewed experienceimpression",
    }.items()
    for spelling in spellings.split()
}


@lru_cache(4096)
def canonical_type(spelling: str) -> str:
    """The canonical name of an event type; any other type passes through in lower case."""
    return _CANONICAL.get(_NOISE.sub("", spelling.lower())) or spelling.lower()


class Claim(BaseModel):
    """What somebody else than the shop had said under the id of an event."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    user_id: Name | None = None
    session_id: Name | None = None
    event_type: Name
    item_id: Name | None = None
    occurred_at: Instant

    @property
    def subject(self) -> str:
        """Who did it, as the claim says: the user, else the session."""
        return self.user_id or self.session_id or ""


class InteractionRecorded(Event):
    """A user (or, before login, a session) did something, mostly with an item.

    `event_type` is canonical (see `canonical_type`); `sender_type` keeps the sender's own spelling.
    At least one of `user_id` and `session_id` is set. `value` is the sender's event value, `price` is
    the price of one piece.

    With `replaces` it is a correction: the shop's own order says so, and what was claimed under this id no
    longer counts. A correction has the key of the claim, so that it comes behind the claim; the event itself
    may have come under its own key before.
    """

    user_id: Name | None = None
    session_id: Name | None = None
    event_type: Name
    sender_type: Name | None = None
    item_id: Name | None = None
    value: Finite | None = None
    quantity: Finite | None = None
    price: Finite | None = None
    order_id: Name | None = None
    recommendation_id: Name | None = None
    impression: tuple[Name, ...] | None = None
    attribution_source: Text | None = None
    properties: Document | None = None
    city: Text | None = None
    province: Text | None = None
    country: Text | None = None
    source: Source = "events"
    received_at: Instant
    historical: bool = False
    replaces: Claim | None = None

    @property
    def subject(self) -> str:
        """Who did it: the user, else the session."""
        return self.user_id or self.session_id or ""

    @property
    def key(self) -> str:
        """`tenant:user`, or `tenant:session` before login; of a correction that of the claim."""
        return f"{self.tenant}:{self.subject if self.replaces is None else self.replaces.subject}"
