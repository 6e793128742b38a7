"""What the server does in one step: scripts in Lua, put together from parts.

When it is out of memory the server refuses the first command of a script that needs some, and so the whole script.
"""

from __future__ import annotations

from hashlib import sha1

from hitrate.stores.redis.values import EXPIRY_PLACE, HEADER_LENGTH, OVERHEAD, TOKENS_PLACE

_HEADERS = f"""
local HEADER_LENGTH, TOKENS_PLACE, EXPIRY_PLACE = {HEADER_LENGTH}, {TOKENS_PLACE}, {EXPIRY_PLACE}
local OVERHEAD = {OVERHEAD}
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

_KEEP = (
    _HEADERS
    + _TOKENS
    + """
-- KEYS: everything, the tokens of namespaces. ARGV: new tokens, for each namespace the longest TTL that is going to be
-- stored in it, in milliseconds, 0 for ever. Returns the current tokens and how long they live.
local everything = stored_token(KEYS[1])
if not everything then
  everything = new_token()
  redis.call('SET', KEYS[1], everything)
end
local kept = {everything}
for key = 2, #KEYS do
  kept[#kept + 1] = keep_token(KEYS[key], tonumber(ARGV[key]))
  kept[#kept + 1] = redis.call('PTTL', KEYS[key])
end
return kept
"""
)

_REMOVE = (
    _HEADERS
    + """
-- KEYS: everything, then for each namespace its token and its entries. ARGV: now or '', for each namespace how many
-- entries. Returns how many of them were there.
local everything, now = stored_token(KEYS[1]) or '', tonumber(ARGV[1])
local removed, key = 0, 2
for arg = 2, #ARGV do
  local last = key + tonumber(ARGV[arg])
  local tokens = everything .. (stored_token(KEYS[key]) or '')
  for entry = key + 1, last do
    local header = header_of(KEYS[entry])
    if header and tokens_of(header) == tokens and not (now and expiry_of(header) <= now) then removed = removed + 1 end
    redis.call('UNLINK', KEYS[entry])
  end
  key = last + 1
end
return removed
"""
)

_INDEX = """
-- The bookkeeping of a bounded cache. entries: name -> size, place, token of the namespace. order: names by arrival.
-- expiry: names by when they expire. seen: names that were read since the hand passed. totals: counts, and for each
-- namespace, by its token, how much of them is its own: a namespace that is not in there was cleared.
local ENTRIES, ORDER, EXPIRY, SEEN, TOTALS = unpack(KEYS, INDEX_KEY, INDEX_KEY + 4)
local expired = 0
local function total(of)
  return tonumber(redis.call('HGET', TOTALS, of) or 0)
end
local function add(token, count, size)
  redis.call('HINCRBY', TOTALS, 'entries', count)
  redis.call('HINCRBY', TOTALS, 'bytes', size)
  redis.call('HINCRBY', TOTALS, 'b' .. token, size)
  if redis.call('HINCRBY', TOTALS, 'n' .. token, count) <= 0 then
    redis.call('HDEL', TOTALS, 'n' .. token, 'b' .. token)
  end
end
local function row_of(name)
  local row = redis.call('HGET', ENTRIES, name)
  if not row then return nil end
  local size, place, token = struct.unpack('>ddc8', row)
  return {size = size, place = place, token = token, live = redis.call('HEXISTS', TOTALS, 'n' .. token) == 1}
end
local function forget(name, row)
  redis.call('HDEL', ENTRIES, name)
  redis.call('ZREM', ORDER, name)
  redis.call('ZREM', EXPIRY, name)
  redis.call('SREM', SEEN, name)
  if row and row.live then add(row.token, -1, -row.size) end
end
local function instant(given)
  if given then return given end
  local time = redis.call('TIME')
  return time[1] + time[2] / 1000000
end
local function purge(when, most)
  local due = redis.call('ZRANGEBYSCORE', EXPIRY, '-inf', string.format('%.6f', when), 'LIMIT', 0, most)
  for _, name in ipairs(due) do
    local row = row_of(name)
    if row and row.live then expired = expired + 1 end
    forget(name, row)
    redis.call('UNLINK', name)
  end
  return #due
end
"""

_BOUNDED = (
    _HEADERS
    + _TOKENS
    + "local INDEX_KEY = 3"
    + _INDEX
    + """
-- KEYS: everything, sweeping, index, then for each namespace its token and its entries.
-- ARGV: new tokens, now or '', limits of entries and bytes, how many names were seen, these; then for each namespace
-- the tokens its entries were packed with, how many, and the longest TTL in milliseconds (0 for ever, -1 if nothing is
-- stored); and for each entry its TTL (0 for ever, -1 to remove it, -2 to remove it uncounted) and its value.
-- Returns, if other tokens are current, these; otherwise the counts of what was done.
local now, max_entries, max_bytes, seen = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local when = instant(now)
local everything = stored_token(KEYS[1])
if not everything or redis.call('HGET', TOTALS, 'token') ~= everything
    or redis.call('HLEN', ENTRIES) ~= redis.call('ZCARD', ORDER) then
  -- All was cleared, or the server has evicted a part of the bookkeeping: what it does not know cannot be bounded.
  redis.call('UNLINK', ENTRIES, ORDER, EXPIRY, SEEN, TOTALS)
  everything = new_token()
  redis.call('SET', KEYS[1], everything)
  redis.call('HSET', TOTALS, 'token', everything)
end
local current, tokens, key, arg = true, {}, 8, 6 + seen
while KEYS[key] do
  local count, longest = tonumber(ARGV[arg + 1]), tonumber(ARGV[arg + 2])
  local token = longest >= 0 and keep_token(KEYS[key], longest) or stored_token(KEYS[key]) or ''
  tokens[#tokens + 1] = everything .. token
  current = current and (longest < 0 or tokens[#tokens] == ARGV[arg])
  key, arg = key + count + 1, arg + 3 + 2 * count
end
if not current then return tokens end

for place = 6, 5 + seen do
  if redis.call('HEXISTS', ENTRIES, ARGV[place]) == 1 then redis.call('SADD', SEEN, ARGV[place]) end
end
purge(when, 16)
local removed, evicted, just_set = 0, 0, {}
local function remove(name, counted, tokens)
  local header = counted and header_of(name)
  if header and tokens_of(header) == tokens and not (now and expiry_of(header) <= now) then removed = removed + 1 end
  redis.call('UNLINK', name)
  local row = row_of(name)
  if row then forget(name, row) end
end
local function store(name, ttl, value)
  if ttl == '0' then redis.call('SET', name, value) else redis.call('SET', name, value, 'PX', ttl) end
  local size, token = #name + #value + OVERHEAD, string.sub(tokens_of(value), 9, 16)
  local row, place = row_of(name), nil
  if row and row.live then
    place = row.place
    add(row.token, -1, -row.size)
  else
    if row then forget(name, row) end
    place = redis.call('HINCRBY', TOTALS, 'place', 1)
    redis.call('ZADD', ORDER, place, name)
  end
  redis.call('HSET', ENTRIES, name, struct.pack('>ddc8', size, place, token))
  add(token, 1, size)
  local expiry = expiry_of(value)
  if not now and ttl ~= '0' then expiry = when + ttl / 1000 end
  if expiry < math.huge then redis.call('ZADD', EXPIRY, string.format('%.6f', expiry), name)
  else redis.call('ZREM', EXPIRY, name) end
  just_set[name] = true
end
key, arg = 8, 6 + seen
for group = 1, #tokens do
  local count = tonumber(ARGV[arg + 1])
  for entry = 1, count do
    local name, ttl = KEYS[key + entry], ARGV[arg + 1 + 2 * entry]
    if ttl == '-1' or ttl == '-2' then remove(name, ttl == '-1', tokens[group])
    else store(name, ttl, ARGV[arg + 2 + 2 * entry]) end
  end
  key, arg = key + count + 1, arg + 3 + 2 * count
end

-- SIEVE: the hand goes from old to new, spares what was seen since it last passed, and stays where it stopped.
local spared, may_purge, hand = 0, true, total('hand')
while total('entries') > max_entries or total('bytes') > max_bytes do
  if may_purge then
    may_purge = purge(when, 16) > 0  -- what has expired makes room first
  else
    local after = '(' .. string.format('%.0f', hand)
    local name = redis.call('ZRANGEBYSCORE', ORDER, after, '+inf', 'LIMIT', 0, 1)[1]
    if name then
      local row = row_of(name)
      hand = row and row.place or hand
      if just_set[name] then
        just_set[name] = nil  -- it goes only if all others cannot make room
      elseif row and row.live and spared < 1000 and redis.call('SREM', SEEN, name) == 1 then
        spared = spared + 1  -- a bounded number in one write, so that the server is not held
      else
        if row and row.live then evicted = evicted + 1 end
        forget(name, row)
        redis.call('UNLINK', name)
      end
    elseif hand == 0 then
      break
    else
      hand = 0
    end
  end
end
redis.call('HSET', TOTALS, 'hand', string.format('%.0f', hand))
return {removed, redis.call('EXISTS', KEYS[2]), evicted, expired}
"""
)

_CLEAR_BOUNDED = (
    _HEADERS
    + "local INDEX_KEY = 1"
    + _INDEX
    + """
-- KEYS: index, then the tokens of namespaces.
for key = 6, #KEYS do
  local token = stored_token(KEYS[key])
  if token then
    local count = total('n' .. token)
    if count > 0 then add(token, -count, -total('b' .. token)) end
    redis.call('UNLINK', KEYS[key])
  end
end
return 0
"""
)

_USAGE_BOUNDED = (
    _HEADERS
    + "local INDEX_KEY = 2"
    + _INDEX
    + """
-- KEYS: everything, index. ARGV: now or ''.
local everything = stored_token(KEYS[1])
if not everything or redis.call('HGET', TOTALS, 'token') ~= everything then return {0, 0, 0} end
purge(instant(tonumber(ARGV[1])), 1000)
return {total('entries'), total('bytes'), expired}
"""
)

_SWEEP = (
    _HEADERS
    + """
-- KEYS: everything, index, then pairs of the token of a namespace and an entry: removes what is not under these tokens.
local everything = stored_token(KEYS[1])
local removed = 0
for key = 7, #KEYS, 2 do
  local token, name = stored_token(KEYS[key]), KEYS[key + 1]
  local header = header_of(name)
  if not (everything and token and header and tokens_of(header) == everything .. token) then
    removed = removed + redis.call('UNLINK', name)
    if redis.call('HDEL', KEYS[2], name) == 1 then
      redis.call('ZREM', KEYS[3], name)
      redis.call('ZREM', KEYS[4], name)
      redis.call('SREM', KEYS[5], name)
    end
  end
end
return removed
"""
)

_EXPIRE = (
    _HEADERS
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


_UNMARK = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('UNLINK', KEYS[1]) end return 0"


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


KEEP = Script(_KEEP)
REMOVE = Script(_REMOVE)
WRITE_BOUNDED = Script(_BOUNDED)
CLEAR_BOUNDED = Script(_CLEAR_BOUNDED)
USAGE_BOUNDED = Script(_USAGE_BOUNDED)
SWEEP = Script(_SWEEP)
EXPIRE = Script(_EXPIRE)
UNMARK = Script(_UNMARK)
