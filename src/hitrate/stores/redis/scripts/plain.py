"""Scripts that write, remove and tidy up."""

from __future__ import annotations

from hitrate.stores.redis.scripts.parts import EVERYTHING, HEADERS, REGISTER, TOKENS, Script

KEEP = Script(
    HEADERS
    + TOKENS
    + REGISTER
    + EVERYTHING
    + """
-- KEYS: everything, register, the tokens of namespaces. ARGV: new tokens, then for each namespace its encoding and the
-- longest TTL that is going to be stored in it, in milliseconds, 0 for ever. Returns the current tokens and how long
-- they live.
local kept = {current_everything()}
for key = 3, #KEYS do
  local arg = 2 * key - 4
  kept[#kept + 1] = keep_token(KEYS[key], tonumber(ARGV[arg + 1]))
  kept[#kept + 1] = redis.call('PTTL', KEYS[key])
  enter(ARGV[arg])
end
return kept
"""
)

REMOVE = Script(
    HEADERS
    + """
-- KEYS: everything, then for each namespace its token, and its entries each with its lease. ARGV: now or '', for each
-- namespace how many entries. Returns how many of them were there.
local everything, now = stored_token(KEYS[1]) or '', tonumber(ARGV[1])
local removed, key = 0, 2
for arg = 2, #ARGV do
  local last = key + 2 * tonumber(ARGV[arg])
  local tokens = everything .. (stored_token(KEYS[key]) or '')
  for entry = key + 1, last, 2 do
    local header = header_of(KEYS[entry])
    if header and tokens_of(header) == tokens and not (now and expiry_of(header) <= now) then removed = removed + 1 end
    redis.call('UNLINK', KEYS[entry], KEYS[entry + 1])
  end
  key = last + 1
end
return removed
"""
)

SWEEP = Script(
    HEADERS
    + """
-- KEYS: everything, then pairs of the token of a namespace and an entry: removes what is not under these tokens.
local everything = stored_token(KEYS[1])
local removed = 0
for key = 2, #KEYS, 2 do
  local token, name = stored_token(KEYS[key]), KEYS[key + 1]
  local header = header_of(name)
  if not (everything and token and header and tokens_of(header) == everything .. token) then
    removed = removed + redis.call('UNLINK', name)
  end
end
return removed
"""
)

EXPIRE = Script(
    HEADERS
    + """
-- KEYS: entries. ARGV: now. Removes what has expired by the caller's own clock.
local removed = 0
for _, name in ipairs(KEYS) do
  local header = header_of(name)
  if header and expiry_of(header) <= tonumber(ARGV[1]) then removed = removed + redis.call('UNLINK', name) end
end
return removed
"""
)

UNMARK = Script("if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('UNLINK', KEYS[1]) end return 0")
