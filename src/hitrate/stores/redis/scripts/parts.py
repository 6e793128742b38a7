"""What the scripts are put together from: a script, and the functions in Lua that several share."""

from __future__ import annotations

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


HEADERS = f"""
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

TOKENS = """
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

REGISTER = """
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

EVERYTHING = """
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

LEASES = """
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
