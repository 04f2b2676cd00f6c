"""The Redis script that removes an event from a history, because the shop's order corrects it."""

from __future__ import annotations

from services.recommender.store.profiles import HISTORY_LENGTH

# KEYS: history, purchases, and the link of a session.
# ARGV: suffix of the entry, item and seconds of a purchase or '' and '', prefixes of the user's keys.
REMOVE = (
    f"local MAX_EVENTS = {HISTORY_LENGTH}"
    """
local function remove(history, purchases)
  local entries, before = redis.call('LRANGE', history, 0, -1), nil
  for _, entry in ipairs(entries) do
    if string.sub(entry, -#ARGV[1]) == ARGV[1] then
      redis.call('LREM', history, 1, entry)
    elseif ARGV[2] ~= '' and not before then
      local event = cjson.decode(entry)
      if event[1] == ARGV[2] and event[2] == 'purchase' then before = event[3] end
    end
  end
  local score = ARGV[2] ~= '' and tonumber(redis.call('ZSCORE', purchases, ARGV[2]) or nil)
  if not score then return end
  if before then
    redis.call('ZADD', purchases, before, ARGV[2])
  elseif #entries < MAX_EVENTS or score >= cjson.decode(entries[#entries])[3]
      or math.abs(score - tonumber(ARGV[3])) < 0.001 then
    redis.call('ZREM', purchases, ARGV[2])
  end
  -- Otherwise the last purchase is older than the events that are stored.
end

remove(KEYS[1], KEYS[2])
local user = KEYS[3] and redis.call('GET', KEYS[3])
if user then remove(ARGV[4] .. user, ARGV[5] .. user) end
return 1
"""
)
