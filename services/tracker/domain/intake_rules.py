"""A tenant's rules of intake: its own event types, and which events are kept out of personalization."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from services.tracker.domain.bots import is_bot
from shared.events import canonical_type
from shared.events.field_aliases import normalized_name
from shared.events.interactions import Withheld, normalized_type
from shared.events.values import Name

_LONGEST_AGENT: Final = 1_024
"""Characters of a user agent that are read; arbitrary, browsers send about 120."""


def _network(text: str) -> str:
    """Return a network in its normal form; ValueError for any other text."""
    return str(ip_network(text, strict=False))


class Rules(BaseModel):
    """The rules of a tenant, as the API takes and returns them."""

    model_config = ConfigDict(extra="forbid")

    event_types: Annotated[dict[Name, Name], Field(max_length=500)] = Field(
        default={}, description="the shop's own names of events, and the types that they are"
    )
    consent_categories: list[Name] = Field(
        default=["personalization", "ad_personalization"],
        max_length=20,
        description="categories of consent that personalization needs; all of them",
    )
    missing_consent: Literal["granted", "denied"] = Field(
        "granted", description="the consent of an event that says nothing about a category"
    )
    withhold_bots: bool = Field(True, description="whether events of known bots are kept out")
    bot_agents: list[Annotated[Name, Field(min_length=3)]] = Field(
        default=[], max_length=100, description="further parts of user agents of bots"
    )
    internal_users: list[Name] = Field(
        default=[], max_length=1_000, description="users whose events are kept out, such as the shop's staff"
    )
    internal_networks: list[Annotated[str, AfterValidator(_network)]] = Field(
        default=[], max_length=100, description="networks whose events are kept out, such as 192.0.2.0/24"
    )


@dataclass(frozen=True, slots=True)
class Circumstances:
    """The origin of an event or a request: consent by category, the user agent, the address."""

    consent: Mapping[str, bool] = field(default_factory=dict)
    user_agent: str | None = None
    address: str | None = None
    is_internal: bool = False


NO_CIRCUMSTANCES: Final = Circumstances()


class IntakeRules:
    """The rules of a tenant, ready to be applied."""

    __slots__ = ("_agents", "_categories", "_event_types", "_networks", "_rules", "_users")

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._event_types = {
            normalized_type(name): canonical_type(event_type)
            for name, event_type in rules.event_types.items()
        }
        self._categories = [normalized_name(category) for category in rules.consent_categories]
        self._agents = [part.lower() for part in rules.bot_agents]
        self._users = frozenset(rules.internal_users)
        self._networks = [ip_network(network) for network in rules.internal_networks]

    def canonical_type(self, event_type: str) -> str:
        """Return the canonical name of an event type; the tenant's own names come first."""
        if self._event_types:
            own = self._event_types.get(normalized_type(event_type))
            if own is not None:
                return own
        return canonical_type(event_type)

    def withheld(self, user_id: str | None, event: Circumstances, request: Circumstances) -> Withheld | None:
        """Return why an event is kept out of personalization; None if it is not.

        `event` is what the event itself says, which comes before what its `request` says.
        """
        if self._is_denied(event.consent):
            return "consent"
        if self._is_bot(event.user_agent or request.user_agent):
            return "bot"
        if event.is_internal or user_id in self._users:
            return "internal"
        if self._networks and _is_in(event.address or request.address, self._networks):
            return "internal"
        return None

    def _is_denied(self, consent: Mapping[str, bool]) -> bool:
        """Return whether the consent to one of the categories is missing."""
        if not consent and self._rules.missing_consent == "granted":
            return False
        by_name = {normalized_name(category): granted for category, granted in consent.items()}
        default = by_name.get("", self._rules.missing_consent == "granted")
        return not all(by_name.get(category, default) for category in self._categories)

    def _is_bot(self, user_agent: str | None) -> bool:
        if user_agent is None or not self._rules.withhold_bots:
            return False
        agent = user_agent[:_LONGEST_AGENT]
        if is_bot(agent):
            return True
        return bool(self._agents) and any(part in agent.lower() for part in self._agents)


DEFAULT_RULES: Final = IntakeRules(Rules())


def circumstances(record: Mapping[str, Any]) -> Circumstances:
    """Return what an event of any format says about its origin.

    Segment and RudderStack say it in `context`, PostHog in properties, Snowplow in `ua` and `ip`, Google
    Analytics in `consent` of the request and `traffic_type`, Endcap's own format in `consent` and
    `user_agent`.
    """
    if "request" in record and "event" in record:
        return _of_google(record["request"], record["event"])
    context, properties = record.get("context"), record.get("properties")
    context = context if isinstance(context, dict) else {}
    properties = properties if isinstance(properties, dict) else {}
    consent = record.get("consent", properties.get("consent"))
    is_silent = consent is None and _OF_CONTEXT.isdisjoint(context)
    if is_silent and _AGENTS.isdisjoint(record) and _AGENTS.isdisjoint(properties):
        return NO_CIRCUMSTANCES
    return Circumstances(
        consent=_granted(consent) | _of_segment(context.get("consent")) | _of_rudderstack(context),
        user_agent=_first_text(
            context.get("userAgent"),
            properties.get("$raw_user_agent"),
            properties.get("$user_agent"),
            record.get("ua"),
            record.get("user_agent"),
        ),
        address=_first_text(context.get("ip"), properties.get("$ip"), record.get("ip")),
    )


_AGENTS: Final = frozenset({"$raw_user_agent", "$user_agent", "$ip", "ua", "ip", "user_agent"})
"""Members that name a user agent or an address."""
_OF_CONTEXT: Final = frozenset({"userAgent", "ip", "consent", "consentManagement"})
"""Members of a context that say something about its origin."""


def _of_google(request: Any, event: Any) -> Circumstances:
    consent = request.get("consent") if isinstance(request, dict) else None
    params = event.get("params") if isinstance(event, dict) else None
    granted = {
        name: value != "DENIED"
        for name, value in (consent.items() if isinstance(consent, dict) else ())
        if isinstance(value, str)
    }
    is_internal = isinstance(params, dict) and params.get("traffic_type") == "internal"
    return Circumstances(consent=granted, is_internal=is_internal)


def _granted(consent: Any) -> dict[str, bool]:
    """Return consent by category; one value for all has the category of no name."""
    if isinstance(consent, bool):
        return {"": consent}
    if not isinstance(consent, dict):
        return {}
    return {name: value for name, value in consent.items() if isinstance(value, bool)}


def _of_segment(consent: Any) -> dict[str, bool]:
    return _granted(consent.get("categoryPreferences")) if isinstance(consent, dict) else {}


def _of_rudderstack(context: Mapping[str, Any]) -> dict[str, bool]:
    management = context.get("consentManagement")
    if not isinstance(management, dict):
        return {}
    return dict.fromkeys(_texts(management.get("allowedConsentIds")), True) | dict.fromkeys(
        _texts(management.get("deniedConsentIds")), False
    )


def _texts(value: Any) -> Iterable[str]:
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []


def _first_text(*values: Any) -> str | None:
    return next((value for value in values if isinstance(value, str) and value), None)


def _is_in(address: str | None, networks: Iterable[IPv4Network | IPv6Network]) -> bool:
    if address is None:
        return False
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in networks)
