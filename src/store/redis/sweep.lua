-- Looks at lines of the deadlines that are due.
-- KEYS: deadlines, then for each line: session, index of the user (or deadlines again).
-- ARGV: now, the lines: key in 32 bytes, owner ('n', or 'u' and the user).
-- Answers how many records it removed, and how many lines it filed anew.
local now = tonumber(ARGV[1])
local removed, filed = 0, 0
for at = 2, #ARGV do
  local line = ARGV[at]
  local session, index = KEYS[2 * at - 2], KEYS[2 * at - 1]
  local meta = redis.call('HMGET', session, 'm:used', 'm:idle', 'm:ends')
  local score = redis.call('ZSCORE', KEYS[1], line)
  local deadline = meta[1]
    and math.min(tonumber(meta[1]) + tonumber(meta[2]), tonumber(meta[3]))
  if not score then
    -- Somebody else was here since the caller read the line.
  elseif deadline and deadline > tonumber(score) then
    -- A touch does not refile. Removed first: a full server takes the second write of a script.
    local text = string.format('%.0f', deadline)
    redis.call('ZREM', KEYS[1], line)
    redis.call('ZADD', KEYS[1], text, line)
    if line:sub(33, 33) == 'u' then
      redis.call('ZADD', index, text, line:sub(1, 32))
    end
    filed = filed + 1
  elseif not deadline or now >= deadline then
    redis.call('DEL', session)
    redis.call('ZREM', KEYS[1], line)
    if line:sub(33, 33) == 'u' then
      redis.call('ZREM', index, line:sub(1, 32))
    end
    removed = removed + 1
  end
end
return { 'stored', removed, filed }
