"""The scripts that copy an override to Redis, and remove the copy of one that is gone."""

from __future__ import annotations

MAX_FIELDS = 200
"""Fields of a hash above which expired ones are removed; twice the overrides that a user may have."""

# KEYS: the user's overrides. ARGV: item, value, version, seconds until it expires, now in seconds.
PUT = f"""
local old = redis.call('HGET', KEYS[1], ARGV[1])
if old and cjson.decode(old)[6] > tonumber(ARGV[3]) then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
if redis.call('TTL', KEYS[1]) < tonumber(ARGV[4]) then redis.call('EXPIRE', KEYS[1], ARGV[4]) end
if redis.call('HLEN', KEYS[1]) > {MAX_FIELDS} then
  local fields = redis.call('HGETALL', KEYS[1])
  for i = 1, #fields, 2 do
    if cjson.decode(fields[i + 1])[5] <= tonumber(ARGV[5]) then redis.call('HDEL', KEYS[1], fields[i]) end
  end
end
return 1
"""

# KEYS: the user's overrides. ARGV: item, version.
REMOVE = """
local old = redis.call('HGET', KEYS[1], ARGV[1])
if old and cjson.decode(old)[6] == tonumber(ARGV[2]) then return redis.call('HDEL', KEYS[1], ARGV[1]) end
return 0
"""
