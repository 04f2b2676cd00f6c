"""The request for a placement, and the visitor that it is for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from services.recommender.store.list_batches import ListKey, StoredList
    from services.recommender.store.lists import Location
    from services.recommender.store.profiles import Profile


@dataclass(slots=True)
class PlacementRequest:
    """One placement, and for whom and where it is requested.

    Nobody changes one; a frozen class would take three times as long to make it.
    """

    tenant: str
    placement: str
    user_id: str | None = None
    session_id: str | None = None
    item_id: str | None = None
    cart: tuple[str, ...] = ()
    category: str | None = None
    city: str | None = None
    province: str | None = None
    country: str | None = None
    limit: int | None = None
    explain: bool = False
    columns: tuple[str, ...] = ()
    """Columns of the items that the answer contains, such as `url`."""
    shown: frozenset[str] = frozenset()
    """Items that are shown elsewhere on the page."""
    is_trial: bool = False
    """True for a request of a preview: it counts nothing, and its random choices are always the same."""

    @property
    def subject(self) -> str | None:
        """Return the user, else the session."""
        return self.user_id or self.session_id

    @property
    def location(self) -> Location:
        """Return the location that the request names."""
        return self.city, self.province, self.country


@dataclass(slots=True)
class Visitor:
    """The known state of a user or session: read once for all strategies and rules of a request.

    `profile` joins the events of the user with those of the session, oldest first.
    """

    profile: Profile
    model_user_id: str | None = None
    """The id by which models know the user: None while the user is being erased."""
    location: Location | None = None
    lists: dict[ListKey, StoredList] = field(default_factory=dict)
    """The lists that strategies read whatever the history says: they come with the profile."""
