-- Shows or ends the sessions of a user.
-- KEYS: index of the user, deadlines, the sessions as the caller knows them.
-- ARGV: now, user, which ('list', 'all', 'others', 'one'), public handle in bytes, keys in bytes of
-- the sessions.
local now, user, which, id = tonumber(ARGV[1]), ARGV[2], ARGV[3], ARGV[4]

-- The caller must name every key, so the list must still be what it was.
local members = redis.call('ZRANGE', KEYS[1], 0, -1)
local same = #members == #KEYS - 2
for at, member in ipairs(members) do
  same = same and member == ARGV[4 + at]
end
if not same then
  return { 'again', members }
end

local answer = {}
local ended = 0
for at, member in ipairs(members) do
  local session = KEYS[2 + at]
  local meta = redis.call('HMGET', session,
    'm:id', 'm:created', 'm:used', 'm:idle', 'm:ends', 'm:user')
  if meta[6] ~= user then
    -- The server let it expire.
    redis.call('ZREM', KEYS[1], member)
    redis.call('ZREM', KEYS[2], member .. 'u' .. user)
  else
    local alive = now < math.min(tonumber(meta[3]) + tonumber(meta[4]), tonumber(meta[5]))
    if which == 'list' then
      if alive then
        answer[#answer + 1] = { meta[1], meta[2], meta[3], meta[4], meta[5] }
      end
    elseif which == 'all' or (which == 'one') == (meta[1] == id) then
      redis.call('DEL', session)
      redis.call('ZREM', KEYS[1], member)
      redis.call('ZREM', KEYS[2], member .. 'u' .. user)
      if alive then
        ended = ended + 1
      end
    end
  end
end
if which == 'list' then
  return { 'stored', answer }
end
return { 'stored', ended }
