-- Begins a session.
-- KEYS: session, deadlines, index of the user (or deadlines again).
-- ARGV: key in bytes, owner ('n', or 'u' and the user), deadline, time to live, fields and values.
if redis.call('EXISTS', KEYS[1]) == 1 then
  return { 'taken' }
end
-- In parts: `unpack` has a limit.
for at = 5, #ARGV, 1000 do
  redis.call('HSET', KEYS[1], unpack(ARGV, at, math.min(at + 999, #ARGV)))
end
redis.call('PEXPIRE', KEYS[1], ARGV[4])
redis.call('ZADD', KEYS[2], ARGV[3], ARGV[1] .. ARGV[2])
if ARGV[2] ~= 'n' then
  redis.call('ZADD', KEYS[3], ARGV[3], ARGV[1])
end
return { 'stored' }
