"""The Redis script that counts a subject's impressions per item and day, each event once.

The events of a subject are records of one partition, so a redelivery repeats them in their order. Events up
to a time, the floor, count as handled; of the last minute before the newest event the ids are kept, since
the processes that publish events do not agree on the order to the millisecond.
"""

from __future__ import annotations

MAX_ITEMS = 300
"""Items of a subject with counts, about 10 KB; those shown longest ago go first. Arbitrary."""
MAX_DAYS = 30
"""Days of which impressions are counted: the longest period of a placement's fatigue."""
KEPT_IDS_MILLISECONDS = 60_000
"""Time before the newest event within which events may come in any order. Publishing ends in 2 s."""
MAX_IDS = 200
"""Ids of events kept per subject. Arbitrary: a visitor sees fewer lists a minute."""

# KEYS: impressions of the subject, subjects of the tenant.
# ARGV: ttl, the subject, expiry of its keys, ttl of the subjects, JSON of [milliseconds, id, shown, engaged].
# The hash has a field per item, `day count day count ...` with the newest day first, and the field '' for
# the floor and the ids above it.
COUNT_IMPRESSIONS = (
    f"local MAX_ITEMS, MAX_DAYS, MAX_IDS = {MAX_ITEMS}, {MAX_DAYS}, {MAX_IDS}\n"
    f"local KEPT_IDS_MILLISECONDS = {KEPT_IDS_MILLISECONDS}"
    """
local key, events = KEYS[1], cjson.decode(ARGV[5])
local state = redis.call('HGET', key, '')
local floor, ids
if state then
  state = cjson.decode(state)
  floor, ids = state[1], state[2]
else
  -- Events before the first impression have nothing to reset.
  for _, event in ipairs(events) do
    if #event[3] > 0 then floor, ids = event[1] - 1, {} break end
  end
  if not floor then return 0 end
end

local function add(item, day)
  local count, earlier = 1, ''
  local value = redis.call('HGET', key, item)
  for other, number in string.gmatch(value or '', '(%d+) (%d+)') do
    if tonumber(other) == day then count = count + tonumber(number)
    elseif tonumber(other) > day - MAX_DAYS then earlier = earlier .. ' ' .. other .. ' ' .. number end
  end
  redis.call('HSET', key, item, day .. ' ' .. count .. earlier)
end

local handled, newest = 0, floor
for _, event in ipairs(events) do
  local milliseconds, id = event[1], event[2]
  if milliseconds > floor and not ids[id] then
    ids[id] = milliseconds
    handled = handled + 1
    if event[4] ~= '' then redis.call('HDEL', key, event[4]) end
    for _, item in ipairs(event[3]) do add(item, math.floor(milliseconds / 86400000)) end
  end
end
if handled == 0 then return 0 end

local order = {}
for id, milliseconds in pairs(ids) do
  order[#order + 1] = {milliseconds, id}
  if milliseconds > newest then newest = milliseconds end
end
table.sort(order, function(a, b) return a[1] < b[1] end)
for position, entry in ipairs(order) do
  if entry[1] <= newest - KEPT_IDS_MILLISECONDS or position <= #order - MAX_IDS then
    floor = math.max(floor, entry[1])
    ids[entry[2]] = nil
  end
end
floor = math.max(floor, newest - KEPT_IDS_MILLISECONDS)

if redis.call('HLEN', key) > MAX_ITEMS + 1 then
  local fields, items = redis.call('HGETALL', key), {}
  for i = 1, #fields, 2 do
    if fields[i] ~= '' then items[#items + 1] = {tonumber(string.match(fields[i + 1], '^%d+')), fields[i]} end
  end
  table.sort(items, function(a, b) return a[1] < b[1] end)
  for i = 1, #items - math.floor(MAX_ITEMS * 0.8) do redis.call('HDEL', key, items[i][2]) end
end
redis.call('HSET', key, '', cjson.encode({floor, ids}))
redis.call('EXPIRE', key, ARGV[1])
redis.call('ZADD', KEYS[2], 'GT', ARGV[3], ARGV[2])
redis.call('EXPIRE', KEYS[2], ARGV[4])
return handled
"""
)
