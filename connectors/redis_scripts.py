"""The scripts that Redis runs as one step each. All their keys have one hash tag, so they lie in one cluster slot."""

import hashlib
from typing import NamedTuple


class Script(NamedTuple):
    """A script and the name by which a server knows it once it has run."""

    source: str
    sha: str

    @classmethod
    def of(cls, source: str) -> "Script":
        return cls(source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())


# Versions are compared as text, by length and then digit by digit: Lua's numbers are doubles, exact up to 2^53 only.
# New rows make it look at a few others, so that the index of a partition nobody reads sheds its expired rows too.
WRITE_PARTITION = Script.of("""
-- KEYS: index, index:sort key...
-- ARGV: a random number, (version, data, expires_at or '', when it leaves or '', names to publish as JSON, or '' for
-- the sort key)...
-- Returns items written.
local index, changed, scored, entered = KEYS[1], {}, {}, 0

for i = 2, #KEYS do
  local at = 2 + (i - 2) * 5
  local version, data, expires, leaves, names = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]
  local held = redis.call('HGET', KEYS[i], 'v')
  if not held or #held < #version or (#held == #version and held <= version) then
    redis.call('HSET', KEYS[i], 'v', version, 'd', data, 'e', expires)
    if leaves == '' then
      redis.call('PERSIST', KEYS[i])
    else
      redis.call('EXPIREAT', KEYS[i], leaves)
    end
    local sort = KEYS[i]:sub(#index + 2)
    if names == '' then
      changed[#changed + 1] = sort
    else
      for _, name in ipairs(cjson.decode(names)) do
        changed[#changed + 1] = name
      end
    end
    scored[#scored + 1] = 0
    scored[#scored + 1] = sort
  end
end

if #scored > 0 then
  entered = redis.call('ZADD', index, unpack(scored))
end

if entered > 0 then
  local first = ARGV[1] % redis.call('ZCARD', index)
  for _, sort in ipairs(redis.call('ZRANGE', index, first, first + math.min(entered * 2, 20) - 1)) do
    if redis.call('EXISTS', index .. ':' .. sort) == 0 then
      redis.call('ZREM', index, sort)
    end
  end
end

if #changed > 0 then
  redis.call('PUBLISH', index, cjson.encode(changed))
end
return #scored / 2
""")

# A row may have been written again since the reader missed it, so this looks once more.
DROP_EXPIRED = Script.of("""
-- KEYS: index  ARGV: sort key...
for _, sort in ipairs(ARGV) do
  if redis.call('EXISTS', KEYS[1] .. ':' .. sort) == 0 then
    redis.call('ZREM', KEYS[1], sort)
  end
end
""")


# A row of just this version is replaced, or taken away where none is given; '' stands for no row.
REPLACE_ROW = Script.of("""
-- KEYS: index, index:sort key
-- ARGV: version found or '', names to publish as JSON [, version, data, expires_at or '', when it leaves or '']
-- Returns items put right.
local index, row = KEYS[1], KEYS[2]
local sort = row:sub(#index + 2)
if (redis.call('HGET', row, 'v') or '') ~= ARGV[1] then
  return 0
end
if #ARGV == 2 then
  redis.call('UNLINK', row)
  redis.call('ZREM', index, sort)
else
  redis.call('HSET', row, 'v', ARGV[3], 'd', ARGV[4], 'e', ARGV[5])
  if ARGV[6] == '' then
    redis.call('PERSIST', row)
  else
    redis.call('EXPIREAT', row, ARGV[6])
  end
  redis.call('ZADD', index, 0, sort)
end
redis.call('PUBLISH', index, ARGV[2])
return 1
""")
