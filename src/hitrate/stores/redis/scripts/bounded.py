"""Scripts of a cache with limits: they keep the books of what there is, in which order it came, and when it expires."""

from __future__ import annotations

from hitrate.stores.redis.scripts.parts import HEADERS, LEASES, REGISTER, TOKENS, Script

INDEX = """
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

BOOKS = """
local function current_everything()
  local everything = stored_token(KEYS[1])
  if not everything or redis.call('HGET', TOTALS, 'token') ~= everything
      or redis.call('HLEN', ENTRIES) ~= redis.call('ZCARD', ORDER) then
    -- All was cleared, or the server has evicted a part of the bookkeeping: what it does not know cannot be bounded.
    redis.call('UNLINK', ENTRIES, ORDER, EXPIRY, SEEN, TOTALS)
    everything = new_token()
    redis.call('SET', KEYS[1], everything)
    begin_register(everything)
    redis.call('HSET', TOTALS, 'token', everything)
  end
  return everything
end
"""

WRITE_BOUNDED = Script(
    HEADERS
    + TOKENS
    + REGISTER
    + LEASES
    + "local INDEX_KEY = 4"
    + INDEX
    + BOOKS
    + """
-- KEYS: everything, register, sweeping, index, then for each namespace its token and its entries; an entry that is
-- removed is followed by its lease, and so is every one if a holder is given.
-- ARGV: new tokens, now or '', limits of entries and bytes, the holder of the leases that they are stored under or '',
-- how many names were seen, these; then for each namespace its encoding, the tokens its entries were packed with, how
-- many, how many names, and the longest TTL in milliseconds (0 for ever, -1 if nothing is stored); and for each entry
-- its TTL (0 for ever, -1 to remove it, -2 to remove it uncounted, -3 to leave what is there) and its value.
-- Returns, if other tokens are current, these; otherwise the counts of what was done, and which entries were not the
-- holder's: nothing was done for them.
local now, max_entries, max_bytes, holder = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
local seen, when = tonumber(ARGV[6]), instant(now)
local everything = current_everything()
local current, tokens, key, arg = true, {}, 9, 7 + seen
while KEYS[key] do
  local count, longest = tonumber(ARGV[arg + 2]), tonumber(ARGV[arg + 4])
  local token = longest >= 0 and keep_token(KEYS[key], longest) or stored_token(KEYS[key]) or ''
  tokens[#tokens + 1] = everything .. token
  if longest >= 0 and tokens[#tokens] ~= ARGV[arg + 1] then
    current = false
    enter(ARGV[arg])
  end
  key, arg = key + 1 + tonumber(ARGV[arg + 3]), arg + 5 + 2 * count
end
if not current then return tokens end

for place = 7, 6 + seen do
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
key, arg = 9, 7 + seen
local place, lost = 0, {}
for group = 1, #tokens do
  local count = tonumber(ARGV[arg + 2])
  for entry = 1, count do
    key, place = key + 1, place + 1
    local name, ttl, lease = KEYS[key], ARGV[arg + 3 + 2 * entry], nil
    if holder ~= '' or ttl == '-1' then
      key = key + 1
      lease = KEYS[key]
    end
    if holder ~= '' and not holds(lease, tokens[group], holder) then
      lost[#lost + 1] = place
    else
      if ttl == '-1' or ttl == '-2' then remove(name, ttl == '-1', tokens[group])
      elseif ttl ~= '-3' then store(name, ttl, ARGV[arg + 4 + 2 * entry]) end
      if lease then redis.call('UNLINK', lease) end
    end
  end
  key, arg = key + 1, arg + 5 + 2 * count
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
return {removed, redis.call('EXISTS', KEYS[3]), evicted, expired, lost}
"""
)

CLEAR_BOUNDED = Script(
    HEADERS
    + "local INDEX_KEY = 2"
    + INDEX
    + """
-- KEYS: register, index, then the tokens of namespaces. ARGV: their encodings.
for place, namespace in ipairs(ARGV) do
  local token = stored_token(KEYS[6 + place])
  if token then
    local count = total('n' .. token)
    if count > 0 then add(token, -count, -total('b' .. token)) end
    redis.call('UNLINK', KEYS[6 + place])
  end
  redis.pcall('ZREM', KEYS[1], 'n' .. namespace)  -- another program's may lie there
end
return 0
"""
)

USAGE_BOUNDED = Script(
    HEADERS
    + "local INDEX_KEY = 2"
    + INDEX
    + """
-- KEYS: everything, index. ARGV: now or ''.
local everything = stored_token(KEYS[1])
if not everything or redis.call('HGET', TOTALS, 'token') ~= everything then return {0, 0, 0} end
purge(instant(tonumber(ARGV[1])), 1000)
return {total('entries'), total('bytes'), expired}
"""
)
