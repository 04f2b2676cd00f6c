"""The scripts that run inside Redis: histories, purchases and counts of impressions.

A client could not keep a list sorted and free of duplicates without a lock: the events of a session and of
its user come from different partitions, so from different workers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from services.recommender.store.correction_script import REMOVE as _REMOVE
from services.recommender.store.impression_script import COUNT_IMPRESSIONS as _COUNT_IMPRESSIONS
from services.recommender.store.profiles import HISTORY_LENGTH
from shared.redis import CommandRefused

if TYPE_CHECKING:
    from shared.redis import Multiplexer

MAX_PURCHASED_ITEMS = 500
"""Recently purchased items stored per subject. Arbitrary: more than a customer buys within a month."""

_PUT = (
    f"local MAX_EVENTS, MAX_PURCHASED_ITEMS = {HISTORY_LENGTH}, {MAX_PURCHASED_ITEMS}"
    """
-- Return the time of an entry. Quotes inside a JSON string are escaped, so the pattern matches only the time
-- and the id at the end. Events of one second compare with the same few entries, so times are cached.
local times = {}
local function time_of(entry)
  local seconds = times[entry]
  if not seconds then
    seconds = tonumber(string.match(entry, ',([%d.]+),"[^"]*"%]$')) or cjson.decode(entry)[3]
    times[entry] = seconds
  end
  return seconds
end

-- Return whether an entry has this suffix. Suffixes are indexed by length, which most ids have in common.
local function has_suffix(suffix, entries, suffixes)
  local known = suffixes[#suffix]
  if not known then
    known = {}
    for _, entry in ipairs(entries) do known[string.sub(entry, -#suffix)] = true end
    suffixes[#suffix] = known
  end
  return known[suffix]
end

-- Insert an entry into a table at a position.
local function insert(entries, suffixes, position, entry)
  table.insert(entries, position, entry)
  for length, known in pairs(suffixes) do known[string.sub(entry, -length)] = true end
end

-- Insert events {entry, seconds, bytes of its suffix, purchased item or ''}; the list is newest first.
local function put(history, purchases, events, since)
  local head = redis.call('LINDEX', history, 0)
  local newest = head and time_of(head) or -1
  local entries, suffixes, has_purchases
  local size = 0
  for _, event in ipairs(events) do
    local entry, seconds = event[1], event[2]
    if seconds > newest then
      -- It is newer than all entries, so it is not among them.
      size = redis.call('LPUSH', history, entry)
      if entries then insert(entries, suffixes, 1, entry) end
      newest = seconds
    else
      if not entries then entries, suffixes = redis.call('LRANGE', history, 0, -1), {} end
      local too_old = #entries >= MAX_EVENTS and seconds <= time_of(entries[#entries])
      if not too_old and not has_suffix(string.sub(entry, -event[3]), entries, suffixes) then
        local low, high = 1, #entries + 1
        while low < high do
          local middle = math.floor((low + high) / 2)
          if time_of(entries[middle]) < seconds then high = middle else low = middle + 1 end
        end
        if low > #entries then size = redis.call('RPUSH', history, entry)
        else size = redis.call('LINSERT', history, 'BEFORE', entries[low], entry) end
        insert(entries, suffixes, low, entry)
      end
    end
    if event[4] ~= '' and seconds >= since then
      redis.call('ZADD', purchases, 'GT', seconds, event[4])
      has_purchases = true
    end
  end
  if size > MAX_EVENTS then redis.call('LTRIM', history, 0, MAX_EVENTS - 1) end
  return has_purchases
end

local function expire(history, history_ttl, purchases, purchases_ttl, since, has_purchases)
  redis.call('EXPIRE', history, history_ttl)
  if has_purchases then
    redis.call('ZREMRANGEBYSCORE', purchases, '-inf', '(' .. since)
    redis.call('ZREMRANGEBYRANK', purchases, 0, -MAX_PURCHASED_ITEMS - 1)
    redis.call('EXPIRE', purchases, purchases_ttl)
  end
end

-- Record when the keys of subjects expire: the first to expire are dropped first when memory is short.
local function record_expiries(subjects, times_and_subjects, ttl)
  redis.call('ZADD', subjects, 'GT', unpack(times_and_subjects))
  redis.call('EXPIRE', subjects, ttl)
end
"""
)

# KEYS: the tenant's subjects. All other keys have the same hash tag, the tenant, so a cluster has all of them
# on one node; their prefixes are arguments.
# ARGV: since, ttl of a user's history, of a session's and of the purchases, expiry of a user's keys and of a
# session's, prefixes of histories, purchases and links. Then, for each subject, its id, '1' for a session and
# '' for a user, the number of its events, and four arguments per event.
_RECORD = (
    _PUT
    + """
local since, expiries = tonumber(ARGV[1]), {}

local function record(subject, events, ttl, expires_at)
  local history, purchases = ARGV[7] .. subject, ARGV[8] .. subject
  expire(history, ttl, purchases, ARGV[4], since, put(history, purchases, events, since))
  expiries[#expiries + 1], expiries[#expiries + 2] = expires_at, subject
end

local at = 10
while at <= #ARGV do
  local subject, is_session, count = ARGV[at], ARGV[at + 1] == '1', tonumber(ARGV[at + 2])
  local events = {}
  for i = 1, count do
    events[i] = {ARGV[at + 3], tonumber(ARGV[at + 4]), ARGV[at + 5], ARGV[at + 6]}
    at = at + 4
  end
  at = at + 3
  if is_session then
    record(subject, events, ARGV[3], ARGV[6])
    local user = redis.call('GET', ARGV[9] .. subject)
    if user then record(user, events, ARGV[2], ARGV[5]) end
  else
    record(subject, events, ARGV[2], ARGV[5])
  end
end
record_expiries(KEYS[1], expiries, ARGV[2])
return #expiries
"""
)

# KEYS: link, session's history, session's purchases, user's history, user's purchases, subjects.
# ARGV: user, since, ttl of the link, ttl of the history, ttl of the purchases, the session, expiry of its
# keys and of the user's.
_LINK = (
    _PUT
    + """
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[3])
local since, events = tonumber(ARGV[2]), {}
local entries = redis.call('LRANGE', KEYS[2], 0, -1)
for i = #entries, 1, -1 do
  events[#events + 1] = {entries[i], time_of(entries[i]), #entries[i], ''}
end
put(KEYS[4], KEYS[5], events, since)
redis.call('ZUNIONSTORE', KEYS[5], 2, KEYS[5], KEYS[3], 'AGGREGATE', 'MAX')
expire(KEYS[4], ARGV[4], KEYS[5], ARGV[5], since, true)
record_expiries(KEYS[6], {ARGV[7], ARGV[6], ARGV[8], ARGV[1]}, ARGV[4])
return #events
"""
)


# KEYS: counts. ARGV: ttl, then item and impressions. Only items that have a field are counted.
_COUNT = """
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
for i = 2, #ARGV, 2 do
  if redis.call('HEXISTS', KEYS[1], ARGV[i]) == 1 then
    redis.call('HINCRBY', KEYS[1], ARGV[i], ARGV[i + 1])
  end
end
return redis.call('EXPIRE', KEYS[1], ARGV[1])
"""


# KEYS: mark of an erasure. ARGV: its time, and ttl. A later time remains.
_MARK = """
local known = redis.call('GET', KEYS[1])
if known and tonumber(known) >= tonumber(ARGV[1]) then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
return 1
"""


class Script:
    """A script and its SHA-1, by which Redis runs it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.sha1 = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


RECORD, LINK, REMOVE, COUNT = Script(_RECORD), Script(_LINK), Script(_REMOVE), Script(_COUNT)
COUNT_IMPRESSIONS, MARK = Script(_COUNT_IMPRESSIONS), Script(_MARK)
_ALL = (RECORD, LINK, REMOVE, COUNT, COUNT_IMPRESSIONS, MARK)


async def call(redis: Multiplexer, calls: Sequence[Sequence[Any]]) -> None:
    """Run EVALSHA calls as one pipeline; raise Transient while Redis is unavailable or full.

    Raise CommandRefused for a call that Redis rejects.
    """
    try:
        await redis.execute(*calls)
    except CommandRefused as error:
        if "NOSCRIPT" not in str(error):
            raise
        # Redis has restarted: load the scripts, and repeat all calls.
        loads = [("SCRIPT", "LOAD", script.text) for script in _ALL]
        await redis.execute(*loads, *calls)
