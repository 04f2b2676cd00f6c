"""The Redis keys that the recommender reads or writes.

    endcap:gen:{tenant}                              JSON {"activation": n, "generations": {recipe: n}}
    endcap:rec:{tenant}:{generation}:{recipe}:{id}   JSON [[item id, score], ...]
    endcap:filled:{tenant}:{generation}              there once all lists of the generation are
    endcap:hist:{tenant}:{subject}                   list, newest first: JSON [item, type, seconds, event id]
    endcap:bought:{tenant}:{subject}                 sorted set, item by the seconds of its last purchase
    endcap:link:{tenant}:{session}                   the user whose session this became
    endcap:place:{tenant}:{user}                     JSON [city, province, country]
    endcap:facts:{tenant}:{user}                     JSON of what the shop says of a user; see `domain.facts`
    endcap:subjects:{tenant}                         sorted set, subject by until when its keys are kept
    endcap:subjects                                  set of the tenants that have any
    endcap:shown:{tenant}                            hash, young item by how often it was shown
    endcap:answer:{tenant}:{recommendation}          JSON of the young items that an answer held
    endcap:histories                                 until when histories are whole, in seconds; see `refill`

The loader writes the first three. A subject is a user, or a session before login. Tenants and recipes hold
no colon, so an id may.
"""

from __future__ import annotations

HISTORIES_WHOLE = "endcap:histories"
TENANTS_WITH_SUBJECTS = "endcap:subjects"


def pointer_key(tenant: str) -> str:
    """Where the loader says what is active."""
    return f"endcap:gen:{tenant}"


def list_key(tenant: str, generation: int, recipe: str, identifier: str) -> str:
    """Where one list is."""
    return f"endcap:rec:{tenant}:{generation}:{recipe}:{identifier}"


def filled_key(tenant: str, generation: int) -> str:
    """What is there when every list of the generation is."""
    return f"endcap:filled:{tenant}:{generation}"


def history_key(tenant: str, subject: str) -> str:
    """Where a subject's last events are."""
    return f"endcap:hist:{tenant}:{subject}"


def bought_key(tenant: str, subject: str) -> str:
    """Where a subject's purchases of the look-back are."""
    return f"endcap:bought:{tenant}:{subject}"


def link_key(tenant: str, session: str) -> str:
    """Where a session's user is."""
    return f"endcap:link:{tenant}:{session}"


def subjects_key(tenant: str) -> str:
    """Where a tenant's subjects are, by until when their keys are kept."""
    return f"endcap:subjects:{tenant}"


def place_key(tenant: str, user: str) -> str:
    """Where a user lives."""
    return f"endcap:place:{tenant}:{user}"


def facts_key(tenant: str, user: str) -> str:
    """Where it is kept what the shop says of a user."""
    return f"endcap:facts:{tenant}:{user}"


def shown_key(tenant: str) -> str:
    """Where it is counted how often items were shown."""
    return f"endcap:shown:{tenant}"


def answer_key(tenant: str, recommendation_id: str) -> str:
    """Where it is kept which young items an answer held."""
    return f"endcap:answer:{tenant}:{recommendation_id}"
