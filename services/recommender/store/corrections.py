"""The script that takes a claim out of a history: the shop's order says that it did not happen so."""

from __future__ import annotations

# KEYS: history, bought, link or ''.
# ARGV: end of the entry, item and seconds of a purchase or '' and '', beginnings of the user's keys.
# A purchase of the same item that lies behind the last hundred events is not met again; then the item may be
# recommended before its time.
REMOVE = """
local function remove(history, bought)
  local before
  for _, entry in ipairs(redis.call('LRANGE', history, 0, -1)) do
    if string.sub(entry, -#ARGV[1]) == ARGV[1] then
      redis.call('LREM', history, 1, entry)
    elseif ARGV[2] ~= '' and not before then
      local event = cjson.decode(entry)
      if event[1] == ARGV[2] and event[2] == 'purchase' then before = event[3] end
    end
  end
  if ARGV[2] == '' then return end
  local score = redis.call('ZSCORE', bought, ARGV[2])
  -- A score that is another is that of a later purchase.
  if score and math.abs(tonumber(score) - tonumber(ARGV[3])) < 0.001 then
    if before then redis.call('ZADD', bought, before, ARGV[2])
    else redis.call('ZREM', bought, ARGV[2]) end
  end
end

remove(KEYS[1], KEYS[2])
local user = KEYS[3] ~= '' and redis.call('GET', KEYS[3])
if user then remove(ARGV[4] .. user, ARGV[5] .. user) end
return 1
"""
