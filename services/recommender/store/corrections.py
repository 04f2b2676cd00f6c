"""The script that takes a claim out of a history: the shop's order says that it did not happen so."""

from __future__ import annotations

from services.recommender.store.profiles import HISTORY

# KEYS: history, bought, link or ''.
# ARGV: end of the entry, item and seconds of a purchase or '' and '', beginnings of the user's keys.
REMOVE = (
    f"local MOST = {HISTORY}"
    """
local function remove(history, bought)
  local entries, before = redis.call('LRANGE', history, 0, -1), nil
  for _, entry in ipairs(entries) do
    if string.sub(entry, -#ARGV[1]) == ARGV[1] then
      redis.call('LREM', history, 1, entry)
    elseif ARGV[2] ~= '' and not before then
      local event = cjson.decode(entry)
      if event[1] == ARGV[2] and event[2] == 'purchase' then before = event[3] end
    end
  end
  local score = ARGV[2] ~= '' and tonumber(redis.call('ZSCORE', bought, ARGV[2]) or nil)
  if not score then return end
  if before then
    redis.call('ZADD', bought, before, ARGV[2])
  elseif #entries < MOST or score >= cjson.decode(entries[#entries])[3]
      or math.abs(score - tonumber(ARGV[3])) < 0.001 then
    redis.call('ZREM', bought, ARGV[2])
  end
  -- Else it was bought before the events that are kept.
end

remove(KEYS[1], KEYS[2])
local user = KEYS[3] ~= '' and redis.call('GET', KEYS[3])
if user then remove(ARGV[4] .. user, ARGV[5] .. user) end
return 1
"""
)
