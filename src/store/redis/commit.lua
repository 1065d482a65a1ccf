-- Merges a change into a session as it is now: `Change::apply` of src/record/change.rs, to the letter.
-- Redis takes nothing back when a script fails half-way, so everything is checked before the first
-- write; a sum is the exception, and leaves nothing behind.
--
-- KEYS: session; and if the change files it anew: deadlines, session from now on, index of the user
-- before, index of the user after (deadlines again where there is no user).
-- ARGV: see `commit_args` in args.rs.
--
-- Numbers in Lua are doubles. Times in milliseconds and sizes fit; versions and stored numbers are
-- compared as text and counted by HINCRBY.
local session = KEYS[1]
local now = tonumber(ARGV[1])
local max_bytes, max_keys = tonumber(ARGV[2]), tonumber(ARGV[3])
local clear = ARGV[4] == '1'
local version, idle, user = ARGV[5], ARGV[6], ARGV[7]
local grace, longest = tonumber(ARGV[8]), tonumber(ARGV[9])
local files, believed, old, new = ARGV[10] == '1', ARGV[11], ARGV[12], ARGV[13]
local at = 14

local meta = redis.call('HMGET', session,
  'm:form', 'm:version', 'm:used', 'm:idle', 'm:ends', 'm:bytes', 'm:user')
if not meta[1] then
  return { 'gone' }
end
if meta[1] ~= '1' then
  return { 'form', meta[1] }
end
local used, timeout, ends = tonumber(meta[3]), tonumber(meta[4]), tonumber(meta[5])
if now >= math.min(used + timeout, ends) then
  return { 'gone' }
end

-- What a transaction had read.
if version ~= '' and version ~= meta[2] then
  return { 'conflict' }
end
local expected = tonumber(ARGV[at])
at = at + 1
for _ = 1, expected do
  local have = redis.call('HGET', session, ARGV[at])
  if (have and '=' .. have or '-') ~= ARGV[at + 1] then
    return { 'conflict' }
  end
  at = at + 2
end

-- The keys of the indexes hang on who is signed in, which the caller can only guess.
local owner = meta[7] and 'u' .. meta[7] or 'n'
if files then
  if owner ~= believed then
    return { 'again', owner }
  end
  if KEYS[3] ~= session and redis.call('EXISTS', KEYS[3]) == 1 then
    return { 'taken' }
  end
end

-- The numbers before the change; eight meta fields, and the user.
local bytes = tonumber(meta[6])
local keys = redis.call('HLEN', session) - (meta[7] and 9 or 8)
local had_bytes, had_keys = bytes, keys
if clear then
  bytes, keys = 0, 0
end

local sets, kept, drops, taken = {}, {}, {}, {}
local ops = tonumber(ARGV[at])
at = at + 1
for op = 1, ops do
  local code, field, operand = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  at = at + 3
  local have, length = false, 0
  if not clear then
    if code == 'set' or code == 'remove' then
      length = redis.call('HSTRLEN', session, field)
    else
      have = redis.call('HGET', session, field)
      length = have and #have or 0
    end
  end
  local value = false
  if code == 'set' then
    value = operand
  elseif code == 'take' then
    taken[#taken + 1] = have
  elseif code == 'add' then
    local current = '0'
    if have and have ~= 'n' then
      if have:sub(1, 1) ~= 'i' then
        return { 'value', op, have }
      end
      current = have:sub(2)
    end
    redis.call('HSET', session, 't', current)
    local sum = redis.pcall('HINCRBY', session, 't', operand)
    -- Its answer is a double by now; the text is exact.
    value = 'i' .. redis.call('HGET', session, 't')
    redis.call('HDEL', session, 't')
    if type(sum) == 'table' then
      return { 'value', op, have or 'n' }
    end
  elseif code == 'append' then
    if have and have:sub(1, 1) ~= 'a' then
      return { 'value', op, have }
    end
    value = (have or 'a') .. operand
  end
  -- Without its `d:`.
  local name = #field - 2
  if length > 0 then
    bytes, keys = bytes - name - length, keys - 1
  end
  if value then
    bytes, keys = bytes + name + #value, keys + 1
    sets[#sets + 1] = field
    sets[#sets + 1] = value
    kept[field] = true
  elseif length > 0 then
    drops[#drops + 1] = field
  end
end
local changed = clear or ops > 0
-- `Limits::check`
if changed and (bytes > math.max(max_bytes, had_bytes) or keys > math.max(max_keys, had_keys)) then
  return { 'limit', string.format('%.0f', had_bytes), had_keys, string.format('%.0f', bytes), keys }
end

-- From here on it writes.
if clear then
  for _, field in ipairs(redis.call('HKEYS', session)) do
    if field:sub(1, 2) == 'd:' and not kept[field] then
      drops[#drops + 1] = field
    end
  end
end
-- A full server refuses the first write of a script if that may need memory, and none after it.
-- So what stores is refused and what only removes is not.
local function set_all()
  for from = 1, #sets, 1000 do
    redis.call('HSET', session, unpack(sets, from, math.min(from + 999, #sets)))
  end
end
local function drop_all()
  for from = 1, #drops, 1000 do
    redis.call('HDEL', session, unpack(drops, from, math.min(from + 999, #drops)))
  end
end
if #sets > 0 then
  set_all()
  drop_all()
else
  drop_all()
end
if changed then
  redis.call('HSET', session, 'm:bytes', string.format('%.0f', bytes))
  redis.call('HINCRBY', session, 'm:version', 1)
end
if user ~= '' then
  redis.call('HSET', session, 'm:user', user:sub(2))
  owner = user
end
local moved = files
if idle ~= '' then
  redis.call('HSET', session, 'm:idle', idle)
  timeout = tonumber(idle)
end
-- `Record::touch_due`
if now > used and (now - used >= 300000 or (now - used) * 20 >= timeout) then
  redis.call('HSET', session, 'm:used', ARGV[1])
  used = now
  moved = true
end
local deadline = math.min(used + timeout, ends)
if moved then
  local left = math.max(1, math.min(deadline - now + grace, longest))
  redis.call('PEXPIRE', session, string.format('%.0f', left))
end
if files then
  local score = string.format('%.0f', deadline)
  redis.call('ZREM', KEYS[2], old .. believed)
  redis.call('ZADD', KEYS[2], score, new .. owner)
  if believed ~= 'n' then
    redis.call('ZREM', KEYS[4], old)
  end
  if owner ~= 'n' then
    redis.call('ZADD', KEYS[5], score, new)
  end
  if KEYS[3] ~= session then
    redis.call('RENAME', session, KEYS[3])
  end
end
-- With the version before: the one after it would be a double.
return { 'stored', taken, meta[2] }
