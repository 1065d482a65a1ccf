-- Ends a session.
-- KEYS: session, deadlines, index of the user (or deadlines again).
-- ARGV: key in bytes, owner as the caller believes ('n', or 'u' and the user).
if redis.call('EXISTS', KEYS[1]) == 0 then
  return { 'gone' }
end
local user = redis.call('HGET', KEYS[1], 'm:user')
local owner = user and 'u' .. user or 'n'
if owner ~= ARGV[2] then
  return { 'again', owner }
end
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[1] .. owner)
if user then
  redis.call('ZREM', KEYS[3], ARGV[1])
end
return { 'stored' }
