"""The Redis keys that the recommender reads or writes.

    endcap:gen:{tenant}                              JSON {"activation": n, "generations": {…}, …}
    endcap:rec:{tenant}:{generation}:{recipe}:{id}   JSON [[item id, score], ...]
    endcap:filled:{tenant}:{generation}              exists once all lists of the generation are written
    endcap:hist:{{tenant}}:{subject}                 list, newest first: JSON [item, type, seconds, event id]
    endcap:bought:{{tenant}}:{subject}               sorted set, item by the seconds of its last purchase
    endcap:link:{{tenant}}:{session}                 the user who logged in to the session
    endcap:place:{tenant}:{user}                     JSON [city, province, country]
    endcap:facts:{tenant}:{user}                     JSON of the user's properties; see `domain.properties`
    endcap:subjects:{{tenant}}                       sorted set, subject by the expiry of its keys
    endcap:subjects                                  set of the tenants that have any
    endcap:over:{tenant}:{user}                      hash, item by its override; see `override_copies`
    endcap:shown:{tenant}                            hash, young item by its impressions
    endcap:answer:{tenant}:{recommendation}          JSON of the young items of an answer
    endcap:trend:{tenant}:{hour}                     sorted set, item by its events of an hour since the epoch
    endcap:changed                                   channel: tenant, line feed, JSON of changed subjects
    endcap:unclicked:{{tenant}}:{subject}            hash, item by `day impressions day impressions ...`
    endcap:erased:{{tenant}}:{digest}                time in seconds up to which a subject was erased
    endcap:quota:{tenant}:{placement}:{day}          hash, item by the answers of the day that contain it
    endcap:histories:{{tag}}                         time up to which histories are complete; see `refill`

The braces of a name in two pairs are in the key: a Redis Cluster keeps all keys with the same text in braces
on one node. So the scripts find the histories of a tenant on one node, while its lists, places and facts are
spread over all nodes. See docs/decisions/0030-histories.

The loader writes the first three. A subject is a user, or a session before login. Tenants and recipes hold
no colon, so an id may.
"""

from __future__ import annotations

import hashlib

from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot

MARK_TAGS = ("18", "3", "61", "58", "19", "2", "60", "59", "102", "1", "63", "49", "103", "0", "62", "48")
"""Hash tags whose slots are in the sixteen equal parts of a cluster's slots, in their order."""
HISTORIES_COMPLETE = tuple(f"endcap:histories:{{{tag}}}" for tag in MARK_TAGS)
"""Marks on every node of a cluster of up to sixteen, unless slots were moved by hand."""
CHANGED_SUBJECTS = "endcap:changed"
TENANTS_WITH_SUBJECTS = "endcap:subjects"


def completeness_key(key: str) -> str:
    """Return the mark that is on the same node of a cluster as another key."""
    return HISTORIES_COMPLETE[key_slot(key.encode()) * len(HISTORIES_COMPLETE) // REDIS_CLUSTER_HASH_SLOTS]


def activation_key(tenant: str) -> str:
    """Return the key of the active generations of a tenant."""
    return f"endcap:gen:{tenant}"


def list_key(tenant: str, generation: int, recipe: str, list_id: str) -> str:
    """Return the key of one list."""
    return f"endcap:rec:{tenant}:{generation}:{recipe}:{list_id}"


def filled_key(tenant: str, generation: int) -> str:
    """Return the key that exists when every list of the generation does."""
    return f"endcap:filled:{tenant}:{generation}"


def history_key(tenant: str, subject: str) -> str:
    """Return the key of a subject's last events."""
    return f"endcap:hist:{{{tenant}}}:{subject}"


def purchases_key(tenant: str, subject: str) -> str:
    """Return the key of a subject's recent purchases."""
    return f"endcap:bought:{{{tenant}}}:{subject}"


def link_key(tenant: str, session: str) -> str:
    """Return the key of a session's user."""
    return f"endcap:link:{{{tenant}}}:{session}"


def subjects_key(tenant: str) -> str:
    """Return the key of a tenant's subjects and the expiry of their keys."""
    return f"endcap:subjects:{{{tenant}}}"


def location_key(tenant: str, user: str) -> str:
    """Return the key of a user's location."""
    return f"endcap:place:{tenant}:{user}"


def properties_key(tenant: str, user: str) -> str:
    """Return the key of a user's properties."""
    return f"endcap:facts:{tenant}:{user}"


def overrides_key(tenant: str, user: str) -> str:
    """Return the key of a user's overrides."""
    return f"endcap:over:{tenant}:{user}"


def erased_key(tenant: str, subject: str) -> str:
    """Return the key of the time up to which a user or session was erased; it does not hold the id."""
    digest = hashlib.blake2b(subject.encode(), digest_size=16).hexdigest()
    return f"endcap:erased:{{{tenant}}}:{digest}"


def impressions_key(tenant: str) -> str:
    """Return the key of the impressions of a tenant's young items."""
    return f"endcap:shown:{tenant}"


def trend_key(tenant: str, hour: int) -> str:
    """Return the key of the events of a tenant's items in an hour since the epoch."""
    return f"endcap:trend:{tenant}:{hour}"


def answer_key(tenant: str, recommendation_id: str) -> str:
    """Return the key of the young items of an answer."""
    return f"endcap:answer:{tenant}:{recommendation_id}"


def unclicked_key(tenant: str, subject: str) -> str:
    """Return the key of a subject's impressions without a click."""
    return f"endcap:unclicked:{{{tenant}}}:{subject}"


def quota_key(tenant: str, placement: str, day: str) -> str:
    """Return the key of the answers of a placement on a day, such as 2026-11-29."""
    return f"endcap:quota:{tenant}:{placement}:{day}"
