"""Scripts that take leases and settle them."""

from __future__ import annotations

from hitrate.stores.redis.scripts.parts import EVERYTHING, HEADERS, LEASES, REGISTER, TOKENS, Script

LEASE = Script(
    HEADERS
    + TOKENS
    + REGISTER
    + LEASES
    + EVERYTHING
    + """
-- KEYS: everything, register, then for each namespace its token and its leases.
-- ARGV: new tokens, the holder, the milliseconds; then for each namespace its encoding, the tokens that the holder
-- knows, and how many leases. Returns for each namespace the current tokens, how long they live, and for each of its
-- leases the milliseconds until another holder's ends, 0 if there is none.
local everything = current_everything()
local holder, life = ARGV[2], tonumber(ARGV[3])
local results, key, arg = {}, 3, 4
while KEYS[key] do
  local token = keep_token(KEYS[key], life)
  local tokens, last = everything .. token, key + tonumber(ARGV[arg + 2])
  if tokens ~= ARGV[arg + 1] then enter(ARGV[arg]) end
  results[#results + 1] = tokens
  results[#results + 1] = redis.call('PTTL', KEYS[key])
  for place = key + 1, last do
    local lease, left = lease_in(KEYS[place], tokens), 0
    if lease and string.sub(lease, 17, 32) ~= holder then
      left = redis.call('PTTL', KEYS[place])
      -- More than it was taken for: the clock was put back.
      if left < 0 or left > struct.unpack('>d', lease, 33) then left = 0 else left = math.max(left, 1) end
    end
    if left == 0 then
      redis.call('SET', KEYS[place], tokens .. holder .. struct.pack('>d', life), 'PX', ARGV[3])
    end
    results[#results + 1] = left
  end
  key, arg = last + 1, arg + 3
end
return results
"""
)

SETTLE = Script(
    HEADERS
    + TOKENS
    + LEASES
    + """
-- KEYS: everything, then for each namespace its token, and its entries each with its lease. ARGV: the holder; then for
-- each namespace the tokens its entries were packed with, how many, and the longest TTL in milliseconds (0 for ever, -1
-- if nothing is stored); and for each entry its TTL (0 for ever, -2 to remove it, -3 to leave what is there) and its
-- value. Returns for each namespace which of its entries were not the holder's; or, if they were packed with others,
-- the current tokens: nothing was done then.
local everything, holder = stored_token(KEYS[1]) or '', ARGV[1]
local results, key, arg = {}, 2, 2
while KEYS[key] do
  local tokens = everything .. (stored_token(KEYS[key]) or '')
  local count, longest = tonumber(ARGV[arg + 1]), tonumber(ARGV[arg + 2])
  local lost, held = {}, {}
  for entry = 1, count do
    held[entry] = holds(KEYS[key + 2 * entry], tokens, holder)
    if not held[entry] then lost[#lost + 1] = entry end
  end
  if #lost == count or longest < 0 or tokens == ARGV[arg] then
    for entry = 1, count do
      local name, ttl, value = KEYS[key + 2 * entry - 1], ARGV[arg + 1 + 2 * entry], ARGV[arg + 2 + 2 * entry]
      if held[entry] then
        if ttl == '0' then redis.call('SET', name, value)
        elseif ttl == '-2' then redis.call('UNLINK', name)
        elseif ttl ~= '-3' then redis.call('SET', name, value, 'PX', ttl) end
      end
    end
    if #lost < count and longest >= 0 then keep_token(KEYS[key], longest) end
    for entry = 1, count do
      if held[entry] then redis.call('UNLINK', KEYS[key + 2 * entry]) end
    end
    results[#results + 1] = lost
  else
    results[#results + 1] = tokens
  end
  key, arg = key + 1 + 2 * count, arg + 3 + 2 * count
end
return results
"""
)
