"""Writing histories: in the order of time, each event once, in whatever order and how often they come.

Two scripts run inside Redis, because a list can't be kept sorted and free of doubles from outside without a
lock: a session's events and its user's come from different partitions, so from different workers.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import orjson

from services.recommender.store.corrections import REMOVE as _REMOVE
from services.recommender.store.keys import bought_key, history_key, link_key
from services.recommender.store.profiles import HISTORY
from shared.redis import CommandRefused

if TYPE_CHECKING:
    from services.recommender.domain.moments import Moment
    from shared.redis import Multiplexer

CALLS_PER_ROUND_TRIP = 500
REMEMBERED_LINKS = 200_000
LINK_AGAIN_SECONDS = 86_400.0
"""A link in Redis ends some time after it was last made, so a session that goes on is linked once a day."""

_PUT = (
    f"local MOST = {HISTORY}"
    """
-- The time of an entry. Inside a JSON string every quote has a backslash before it, so the pattern can only
-- match the time and the id at the end.
-- Events of one second look at the same few entries, so what was read is kept.
local times = {}
local function at(entry)
  local seconds = times[entry]
  if not seconds then
    seconds = tonumber(string.match(entry, ',([%d.]+),"[^"]*"%]$')) or cjson.decode(entry)[3]
    times[entry] = seconds
  end
  return seconds
end

-- Whether an entry ends like this. The ends are kept by their length, which most ids have in common.
local function is_end(of, entries, ends)
  local known = ends[#of]
  if not known then
    known = {}
    for _, entry in ipairs(entries) do known[string.sub(entry, -#of)] = true end
    ends[#of] = known
  end
  return known[of]
end

-- Insert an entry into a table at a place.
local function insert(entries, ends, place, entry)
  table.insert(entries, place, entry)
  for length, known in pairs(ends) do known[string.sub(entry, -length)] = true end
end

-- Insert events {entry, seconds, end of the entry, item bought or ''}; the list is newest first.
local function put(history, bought, events, since)
  local head = redis.call('LINDEX', history, 0)
  local newest = head and at(head) or -1
  local entries, ends, purchases
  local size = 0
  for _, event in ipairs(events) do
    local entry, seconds = event[1], event[2]
    if seconds > newest then
      -- Nothing there is as new, so this event is not there either.
      size = redis.call('LPUSH', history, entry)
      if entries then insert(entries, ends, 1, entry) end
      newest = seconds
    else
      if not entries then entries, ends = redis.call('LRANGE', history, 0, -1), {} end
      local too_old = #entries >= MOST and seconds <= at(entries[#entries])
      if not too_old and not is_end(event[3], entries, ends) then
        local low, high = 1, #entries + 1
        while low < high do
          local middle = math.floor((low + high) / 2)
          if at(entries[middle]) < seconds then high = middle else low = middle + 1 end
        end
        if low > #entries then size = redis.call('RPUSH', history, entry)
        else size = redis.call('LINSERT', history, 'BEFORE', entries[low], entry) end
        insert(entries, ends, low, entry)
      end
    end
    if event[4] ~= '' and seconds >= since then
      redis.call('ZADD', bought, 'GT', seconds, event[4])
      purchases = true
    end
  end
  if size > MOST then redis.call('LTRIM', history, 0, MOST - 1) end
  return purchases
end

local function keep(history, history_ttl, bought, bought_ttl, since, purchases)
  redis.call('EXPIRE', history, history_ttl)
  if purchases then
    redis.call('ZREMRANGEBYSCORE', bought, '-inf', '(' .. since)
    redis.call('EXPIRE', bought, bought_ttl)
  end
end
"""
)

# KEYS: history, bought, link or ''.
# ARGV: since, ttl of the history, ttl of bought, ttl of the user's history, beginnings of the user's keys,
# then four per event.
_RECORD = (
    _PUT
    + """
local since, events = tonumber(ARGV[1]), {}
for i = 7, #ARGV, 4 do
  events[#events + 1] = {ARGV[i], tonumber(ARGV[i + 1]), ARGV[i + 2], ARGV[i + 3]}
end
local purchases = put(KEYS[1], KEYS[2], events, since)
keep(KEYS[1], ARGV[2], KEYS[2], ARGV[3], since, purchases)
local user = KEYS[3] ~= '' and redis.call('GET', KEYS[3])
if user then
  put(ARGV[5] .. user, ARGV[6] .. user, events, since)
  keep(ARGV[5] .. user, ARGV[4], ARGV[6] .. user, ARGV[3], since, purchases)
end
return #events
"""
)

# KEYS: link, session's history, session's bought, user's history, user's bought.
# ARGV: user, since, ttl of the link, ttl of the history, ttl of bought.
_LINK = (
    _PUT
    + """
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[3])
local since, events = tonumber(ARGV[2]), {}
local entries = redis.call('LRANGE', KEYS[2], 0, -1)
for i = #entries, 1, -1 do
  events[#events + 1] = {entries[i], at(entries[i]), entries[i], ''}
end
put(KEYS[4], KEYS[5], events, since)
redis.call('ZUNIONSTORE', KEYS[5], 2, KEYS[5], KEYS[3], 'AGGREGATE', 'MAX')
keep(KEYS[4], ARGV[4], KEYS[5], ARGV[5], since, true)
return #events
"""
)


class _Script:
    """A script and the name that Redis gives it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.sha1 = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


RECORD, LINK, REMOVE = _Script(_RECORD), _Script(_LINK), _Script(_REMOVE)


@dataclass(frozen=True, slots=True)
class Kept:
    """How long things are kept in Redis: purchases, histories of users, and those of sessions."""

    bought: timedelta
    history: timedelta
    session: timedelta


class Histories:
    """Takes moments into histories and purchases; a repetition changes nothing."""

    def __init__(self, redis: Multiplexer, kept: Kept) -> None:
        self._redis = redis
        self._kept = kept
        self._linked: dict[tuple[str, str, str], float] = {}
        # Half of the time that a link is kept, where that is not even two days.
        self._link_again = min(LINK_AGAIN_SECONDS, kept.session.total_seconds() / 2)

    async def record(self, moments: Sequence[Moment]) -> None:
        """Take moments of any number of subjects, and link sessions to the users who logged in.

        Transient while Redis is away; then all of it may be given again.
        """
        since = time.time() - self._kept.bought.total_seconds()
        groups: dict[tuple[str, str | None, str | None], list[Moment]] = {}
        for one in moments:
            subject = (one.tenant, one.user_id, None if one.user_id else one.session_id)
            groups.setdefault(subject, []).append(one)
        calls = [self._recorded(*subject, group, since) for subject, group in groups.items()]
        now = time.monotonic()
        links = {
            (one.tenant, one.session_id, one.user_id)
            for one in moments
            if one.user_id and one.session_id and one.session_id != one.user_id
        }
        links = {link for link in links if now - self._linked.get(link, -math.inf) >= self._link_again}
        calls += [self._link(*link, since) for link in sorted(links)]
        for begin in range(0, len(calls), CALLS_PER_ROUND_TRIP):
            await self._call(calls[begin : begin + CALLS_PER_ROUND_TRIP])
        if len(self._linked) > REMEMBERED_LINKS:
            self._linked.clear()
        self._linked |= dict.fromkeys(links, now)

    async def remove(self, moments: Sequence[Moment]) -> None:
        """Take moments out of the histories of their subjects, and of the users whose sessions those are."""
        calls = [self._removed(one) for one in moments]
        for begin in range(0, len(calls), CALLS_PER_ROUND_TRIP):
            await self._call(calls[begin : begin + CALLS_PER_ROUND_TRIP])

    def forget_links(self) -> None:
        """Redis lost everything: sessions have to be linked again when they come."""
        self._linked.clear()

    async def _call(self, calls: Sequence[Sequence[Any]]) -> None:
        try:
            await self._redis.execute(*calls)
        except CommandRefused as error:
            if "NOSCRIPT" not in str(error):
                raise
            # Redis was started anew: give it the scripts, and all the calls again.
            loads = [("SCRIPT", "LOAD", script.text) for script in (RECORD, LINK, REMOVE)]
            await self._redis.execute(*loads, *calls)

    def _recorded(
        self, tenant: str, user: str | None, session: str | None, group: list[Moment], since: float
    ) -> list[Any]:
        subject = user or session or ""
        kept = self._kept
        call: list[Any] = [
            "EVALSHA",
            RECORD.sha1,
            3,
            history_key(tenant, subject),
            bought_key(tenant, subject),
            "" if user else link_key(tenant, subject),
            since,
            _seconds(kept.history if user else kept.session),
            _seconds(kept.bought),
            _seconds(kept.history),
            history_key(tenant, ""),
            bought_key(tenant, ""),
        ]
        group.sort(key=_time)
        for one in group:
            tail = _end(one)
            head = orjson.dumps((one.item_id, one.event_type, one.seconds))
            call += (head[:-1] + tail, one.seconds, tail, one.item_id if one.is_purchase else "")
        return call

    def _removed(self, one: Moment) -> list[Any]:
        subject = one.user_id or one.session_id or ""
        return [
            "EVALSHA",
            REMOVE.sha1,
            3,
            history_key(one.tenant, subject),
            bought_key(one.tenant, subject),
            "" if one.user_id else link_key(one.tenant, subject),
            _end(one),
            one.item_id if one.is_purchase else "",
            one.seconds if one.is_purchase else "",
            history_key(one.tenant, ""),
            bought_key(one.tenant, ""),
        ]

    def _link(self, tenant: str, session: str, user: str, since: float) -> list[Any]:
        kept = self._kept
        return [
            "EVALSHA",
            LINK.sha1,
            5,
            link_key(tenant, session),
            history_key(tenant, session),
            bought_key(tenant, session),
            history_key(tenant, user),
            bought_key(tenant, user),
            user,
            since,
            _seconds(kept.session),
            _seconds(kept.history),
            _seconds(kept.bought),
        ]


def _end(one: Moment) -> bytes:
    """Return the end of an entry of a history, by which an event is met again."""
    return b"," + orjson.dumps(one.event_id) + b"]"


def _time(one: Moment) -> float:
    return one.seconds


def _seconds(span: timedelta) -> int:
    return int(span.total_seconds())
