"""Interactions of users with items, from every wire format."""

from __future__ import annotations

import re
from datetime import datetime
from functools import lru_cache
from typing import Literal

from pydantic import BaseModel, ConfigDict

from shared.events.envelope import Document, Event, Name, Text
from shared.events.values import Finite, Instant

Source = Literal[
    "events",
    "backend",
    "personalize",
    "segment",
    "posthog",
    "snowplow",
    "google_analytics",
    "order",
    "import",
]

Withheld = Literal["consent", "bot", "internal"]

_PUNCTUATION = re.compile(r"[^a-z0-9]+")

# The names of each event type in all wire formats, in lower case without punctuation.
_EVENT_TYPE_ALIASES = {
    alias: canonical
    for canonical, aliases in {
        "view": ("view productviewed viewedproduct viewitem detailpageview productview itemview"),
        "click": "click productclicked selectitem itemclick",
        "add_to_cart": (
            "addtocart productadded productaddedtocart cart cartadd addtobasket wishlistproductaddedtocart"
        ),
        "remove_from_cart": "removefromcart productremoved productremovedfromcart removefrombasket",
        "view_cart": "viewcart cartviewed shoppingcartpageview",
        "begin_checkout": "begincheckout checkoutstarted",
        "checkout_step": (
            "checkoutstep checkoutstepviewed checkoutstepcompleted addshippinginfo "
            "checkoutaddressinfosubmitted checkoutcontactinfosubmitted checkoutshippinginfosubmitted"
        ),
        "add_payment_info": "addpaymentinfo paymentinfoentered paymentinfosubmitted",
        "purchase": ("purchase ordercompleted completedorder purchasecomplete checkoutcompleted buy"),
        "refund": "refund orderrefunded refundscreate",
        "order_update": "orderupdate orderupdated",
        "cancel": "cancel ordercancelled ordercanceled orderscancelled",
        "wishlist": "wishlist productaddedtowishlist addtowishlist",
        "remove_from_wishlist": "removefromwishlist productremovedfromwishlist",
        "view_promotion": "viewpromotion promotionviewed",
        "select_promotion": "selectpromotion promotionclicked",
        "coupon": "coupon couponentered couponapplied coupondenied couponremoved",
        "share": "share productshared cartshared",
        "review": "review productreviewed",
        "email_delivered": "emaildelivered",
        "email_opened": "emailopened",
        "email_clicked": "emailclicked emaillinkclicked",
        "email_bounced": "emailbounced",
        "email_marked_as_spam": "emailmarkedasspam",
        "unsubscribed": "unsubscribed",
        "search": "search productssearched viewsearchresults searchsubmitted",
        "list_view": (
            "listview productlistviewed viewedproductcategory viewitemlist categorypageview "
            "collectionviewed productlistfiltered"
        ),
        "impression": "impression",
        "exposure": "exposure experimentviewed experienceimpression",
    }.items()
    for alias in aliases.split()
}


@lru_cache(4096)
def canonical_type(event_type: str) -> str:
    """Return the canonical name of an event type, such as `view`; an unknown type in lower case."""
    return _EVENT_TYPE_ALIASES.get(normalized_type(event_type)) or event_type.lower()


def normalized_type(event_type: str) -> str:
    """Return an event type as names are compared: in lower case without punctuation."""
    return _PUNCTUATION.sub("", event_type.lower())


def is_known_type(event_type: str) -> bool:
    """Return whether some wire format has an event of this name."""
    return normalized_type(event_type) in _EVENT_TYPE_ALIASES


class Claim(BaseModel):
    """An event under the id of an order line that did not come from the shop's own order."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    user_id: Name | None = None
    session_id: Name | None = None
    event_type: Name
    item_id: Name | None = None
    occurred_at: Instant

    @property
    def subject(self) -> str:
        """Return the user, else the session."""
        return self.user_id or self.session_id or ""


class InteractionRecorded(Event):
    """A user (or, before login, a session) did something, mostly with an item.

    `event_type` is canonical (see `canonical_type`); `sender_type` is the type as the sender wrote it.
    At least one of `user_id` and `session_id` is set. `value` is the sender's event value, `price` is
    the price of one piece.

    With `replaces` it is a correction: the shop's own order replaces the claim under this id. A correction
    has the key of the claim, so that it follows the claim; the event itself may have come under its own key
    before.

    With `withheld` it stays in the log and is kept out of everything that learns from events or counts them:
    the person has not consented, or it comes from a bot or from the shop itself.
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
    withheld: Withheld | None = None

    @property
    def subject(self) -> str:
        """Return the user, else the session."""
        return self.user_id or self.session_id or ""

    @property
    def happened_by(self) -> datetime:
        """Return the time by which the event has happened: its own, but not later than it was received.

        A client's clock may run ahead, ours does not: an erasure compares this time with that of its request
        (see `UserErasureRequested`). SQL: `least(occurred_at, received_at)`.
        """
        occurred, received = self.occurred_at, self.received_at
        return min(occurred, received)

    @property
    def key(self) -> str:
        """Return `tenant:user`, `tenant:session` before login, or for a correction the key of the claim."""
        return f"{self.tenant}:{self.subject if self.replaces is None else self.replaces.subject}"
