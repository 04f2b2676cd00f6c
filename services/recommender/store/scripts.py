"""The scripts that run inside Redis: histories, purchases and counts of impressions.

They run there because a list can't be kept sorted and free of doubles from outside without a lock: a
session's events and its user's come from different partitions, so from different workers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from services.recommender.store.corrections import REMOVE as _REMOVE
from services.recommender.store.profiles import HISTORY
from shared.redis import CommandRefused

if TYPE_CHECKING:
    from shared.redis import Multiplexer

BOUGHT = 500
"""Items that a subject bought of late, the newest. Arbitrary: more than a customer buys within a month."""

_PUT = (
    f"local MOST, MOST_BOUGHT = {HISTORY}, {BOUGHT}"
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
    redis.call('ZREMRANGEBYRANK', bought, 0, -MOST_BOUGHT - 1)
    redis.call('EXPIRE', bought, bought_ttl)
  end
end

-- Note until when a subject's keys are kept; those that end first make room first.
local function note(subjects, subject, until_seconds, ttl)
  redis.call('ZADD', subjects, 'GT', until_seconds, subject)
  redis.call('EXPIRE', subjects, ttl)
end
"""
)

# KEYS: history, bought, link or '', subjects.
# ARGV: since, ttl of the history, ttl of bought, ttl of the user's history, beginnings of the user's keys,
# the subject, until when its keys and those of a user are kept, then four per event.
_RECORD = (
    _PUT
    + """
local since, events = tonumber(ARGV[1]), {}
for i = 10, #ARGV, 4 do
  events[#events + 1] = {ARGV[i], tonumber(ARGV[i + 1]), ARGV[i + 2], ARGV[i + 3]}
end
local purchases = put(KEYS[1], KEYS[2], events, since)
keep(KEYS[1], ARGV[2], KEYS[2], ARGV[3], since, purchases)
note(KEYS[4], ARGV[7], ARGV[8], ARGV[4])
local user = KEYS[3] ~= '' and redis.call('GET', KEYS[3])
if user then
  put(ARGV[5] .. user, ARGV[6] .. user, events, since)
  keep(ARGV[5] .. user, ARGV[4], ARGV[6] .. user, ARGV[3], since, purchases)
  note(KEYS[4], user, ARGV[9], ARGV[4])
end
return #events
"""
)

# KEYS: link, session's history, session's bought, user's history, user's bought, subjects.
# ARGV: user, since, ttl of the link, ttl of the history, ttl of bought, the session, until when its keys and
# those of the user are kept.
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
note(KEYS[6], ARGV[6], ARGV[7], ARGV[4])
note(KEYS[6], ARGV[1], ARGV[8], ARGV[4])
return #events
"""
)


# KEYS: counts. ARGV: ttl, then two per item. Only items that are there already are counted.
_COUNT = """
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
for i = 2, #ARGV, 2 do
  if redis.call('HEXISTS', KEYS[1], ARGV[i]) == 1 then
    redis.call('HINCRBY', KEYS[1], ARGV[i], ARGV[i + 1])
  end
end
return redis.call('EXPIRE', KEYS[1], ARGV[1])
"""


class Script:
    """A script and the name that Redis gives it."""

    def __init__(self, text: str) -> None:
        """Hash the text as Redis does."""
        self.text = text
        self.sha1 = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


RECORD, LINK, REMOVE, COUNT = Script(_RECORD), Script(_LINK), Script(_REMOVE), Script(_COUNT)


async def call(redis: Multiplexer, calls: Sequence[Sequence[Any]]) -> None:
    """Run EVALSHA calls as one pipeline. Transient while Redis is away or full."""
    try:
        await redis.execute(*calls)
    except CommandRefused as error:
        if "NOSCRIPT" not in str(error):
            raise
        # Redis was started anew: give it the scripts, and all the calls again.
        loads = [("SCRIPT", "LOAD", script.text) for script in (RECORD, LINK, REMOVE, COUNT)]
        await redis.execute(*loads, *calls)
