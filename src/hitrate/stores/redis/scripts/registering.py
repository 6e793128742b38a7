"""Scripts that clear namespaces, and look through the register of them."""

from __future__ import annotations

from hitrate.stores.redis.scripts.parts import HEADERS, Script

CLEAR = Script("""
-- KEYS: register, the tokens of namespaces. ARGV: their encodings. A few thousand at most: Lua takes no more at once.
redis.call('UNLINK', unpack(KEYS, 2))
local members = {}
for place, namespace in ipairs(ARGV) do members[place] = 'n' .. namespace end
redis.pcall('ZREM', KEYS[1], unpack(members))  -- another program's may lie there
return 0
""")

PAGE = Script(
    HEADERS
    + """
-- KEYS: everything, register. ARGV: where a range begins and ends, how many at most. Returns what the register holds of
-- it in order; nothing if it may lack some.
local everything = stored_token(KEYS[1])
if not everything then return {} end  -- nothing is within reach
if redis.call('TYPE', KEYS[2]).ok ~= 'zset' or not redis.call('ZSCORE', KEYS[2], 'g' .. everything) then return nil end
return redis.call('ZRANGEBYLEX', KEYS[2], ARGV[1], ARGV[2], 'LIMIT', 0, ARGV[3])
"""
)

GLANCE = Script("""
-- KEYS: register. ARGV: a random number, how many at most. Returns some that follow each other, begun anywhere.
if redis.call('TYPE', KEYS[1]).ok ~= 'zset' then return {} end
local first = ARGV[1] % redis.call('ZCARD', KEYS[1])
return redis.call('ZRANGE', KEYS[1], first, first + ARGV[2] - 1)
""")

TIDY = Script("""
-- KEYS: register, the tokens of namespaces. ARGV: their encodings. Strikes out those whose token has expired.
for place, namespace in ipairs(ARGV) do
  if redis.call('EXISTS', KEYS[place + 1]) == 0 then redis.pcall('ZREM', KEYS[1], 'n' .. namespace) end
end
return 0
""")
