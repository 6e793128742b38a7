"""What the server does in one step: scripts in Lua, put together from parts.

A server that is out of memory refuses the first command of a script that needs memory, and so the whole script, unless
the script has changed something before. So commands that need memory come first where possible.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha1

from hitrate.stores.redis.format import EXPIRY_PLACE, HEADER_LENGTH, TOKENS_PLACE


class Script:
    """A script.

    Args:
        text: what the server runs.

    Attributes:
        digest: what the server knows it by once it has seen it.
    """

    def __init__(self, text: str) -> None:
        self.text = text.encode()
        self.digest = sha1(self.text, usedforsecurity=False).hexdigest().encode()


def after(*parts: str) -> Callable[[str], Script]:
    """Return what makes a script of a text that comes after some parts."""
    return lambda text: Script("".join(parts) + text)


_HEADERS = f"""
local HEADER_LENGTH, TOKENS_PLACE, EXPIRY_PLACE = {HEADER_LENGTH}, {TOKENS_PLACE}, {EXPIRY_PLACE}
local function stored_token(name)
  local token = redis.call('MGET', name)[1]  -- not GET, which fails for what another program put there
  return token and #token == 8 and token or nil
end
local function header_of(name)
  local header = redis.pcall('GETRANGE', name, 0, HEADER_LENGTH - 1)
  return type(header) == 'string' and #header == HEADER_LENGTH and header or nil
end
local function tokens_of(value)
  return string.sub(value, TOKENS_PLACE, TOKENS_PLACE + 15)
end
local function expiry_of(value)
  return struct.unpack('>d', value, EXPIRY_PLACE)
end
"""

_TOKENS = """
local tokens_taken = 0
local function new_token()
  tokens_taken = tokens_taken + 1
  return string.sub(ARGV[1], tokens_taken * 8 - 7, tokens_taken * 8)
end
local function keep_token(name, longest)
  -- It lives as long as the entries of its namespace: none is left behind when they have expired.
  local token = stored_token(name)
  local life = string.format('%.0f', longest * 2)
  if not token then
    token = new_token()
    if longest == 0 then redis.call('SET', name, token) else redis.call('SET', name, token, 'PX', life) end
    return token
  end
  local left = redis.call('PTTL', name)
  if left >= 0 then
    if longest == 0 then redis.call('PERSIST', name)
    elseif left < longest then redis.call('PEXPIRE', name, life) end
  end
  return token
end
"""

_REGISTER = """
-- The register: the namespaces that have tokens, in the order of their encodings, 'n' before each. It also holds the
-- token of all entries, 'g' before it: one without was lost at some time, as a server does that is out of memory, and
-- what it holds is not all. Who does not know the current tokens of a namespace has it entered before they are told.
local REGISTER = KEYS[2]
local function begin_register(everything)
  redis.call('UNLINK', REGISTER)
  redis.call('ZADD', REGISTER, 0, 'g' .. everything)
end
local function enter(namespace)
  local kind = redis.call('TYPE', REGISTER).ok
  if kind ~= 'zset' and kind ~= 'none' then redis.call('UNLINK', REGISTER) end
  redis.call('ZADD', REGISTER, 0, 'n' .. namespace)
end
"""

_EVERYTHING = """
local function current_everything()
  local everything = stored_token(KEYS[1])
  if not everything then
    everything = new_token()
    redis.call('SET', KEYS[1], everything)
    begin_register(everything)
  end
  return everything
end
"""

_LEASES = """
-- A lease: the tokens of all entries and of its namespace, the token of its holder, the milliseconds it was taken for.
local function lease_in(name, tokens)
  local lease = redis.call('MGET', name)[1]
  return lease and #lease == 40 and string.sub(lease, 1, 16) == tokens and lease or nil
end
local function holds(name, tokens, holder)
  local lease = lease_in(name, tokens)
  return lease ~= nil and string.sub(lease, 17, 32) == holder
end
"""

# Scripts that write, remove and tidy up

KEEP = after(_HEADERS, _TOKENS, _REGISTER, _EVERYTHING)("""
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
""")

REMOVE = after(_HEADERS)("""
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
""")

SWEEP = after(_HEADERS)("""
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
""")

EXPIRE = after(_HEADERS)("""
-- KEYS: entries. ARGV: now. Removes what has expired by the caller's own clock.
local removed = 0
for _, name in ipairs(KEYS) do
  local header = header_of(name)
  if header and expiry_of(header) <= tonumber(ARGV[1]) then removed = removed + redis.call('UNLINK', name) end
end
return removed
""")

UNMARK = Script("if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('UNLINK', KEYS[1]) end return 0")

# Leases

LEASE = after(_HEADERS, _TOKENS, _REGISTER, _LEASES, _EVERYTHING)("""
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
""")

SETTLE = after(_HEADERS, _TOKENS, _LEASES)("""
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
""")

# Clearing, and the register of namespaces

CLEAR = Script("""
-- KEYS: register, the tokens of namespaces. ARGV: their encodings. A few thousand at most: Lua takes no more at once.
redis.call('UNLINK', unpack(KEYS, 2))
local members = {}
for place, namespace in ipairs(ARGV) do members[place] = 'n' .. namespace end
redis.pcall('ZREM', KEYS[1], unpack(members))  -- another program's may lie there
return 0
""")

PAGE = after(_HEADERS)("""
-- KEYS: everything, register. ARGV: where a range begins and ends, how many at most. Returns what the register holds of
-- it in order; nothing if it may lack some.
local everything = stored_token(KEYS[1])
if not everything then return {} end  -- nothing is within reach
if redis.call('TYPE', KEYS[2]).ok ~= 'zset' or not redis.call('ZSCORE', KEYS[2], 'g' .. everything) then return nil end
return redis.call('ZRANGEBYLEX', KEYS[2], ARGV[1], ARGV[2], 'LIMIT', 0, ARGV[3])
""")

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
