-- Shows or ends the sessions of a user.
-- KEYS: index of the user, deadlines, the sessions that the caller knows of.
-- ARGV: now, user, which ('list', 'all', 'others', 'one'), public handle in bytes, keys in bytes of
-- the sessions.
-- Answers with what it found, and with those that the caller did not know of: it has to name every
-- key, and comes again for them.
local now, user, which, id = tonumber(ARGV[1]), ARGV[2], ARGV[3], ARGV[4]
local known = {}
for at = 5, #ARGV do
  known[ARGV[at]] = KEYS[at - 2]
end

local list, unknown, ended = {}, {}, 0
for _, member in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  local session = known[member]
  local meta = session and redis.call('HMGET', session,
    'm:id', 'm:created', 'm:used', 'm:idle', 'm:ends', 'm:user')
  if not session then
    unknown[#unknown + 1] = member
  elseif meta[6] ~= user then
    -- The server let it expire.
    redis.call('ZREM', KEYS[1], member)
    redis.call('ZREM', KEYS[2], member .. 'u' .. user)
  else
    local alive = now < math.min(tonumber(meta[3]) + tonumber(meta[4]), tonumber(meta[5]))
    if which == 'list' then
      if alive then
        list[#list + 1] = { meta[1], meta[2], meta[3], meta[4], meta[5] }
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
return { 'stored', unknown, which == 'list' and list or ended }
