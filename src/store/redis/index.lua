-- Adds the line ARGV[1] to the index of a user until ARGV[2], and drops the lines that ended before
-- ARGV[3]. The index lives as long as its last line.
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. ARGV[3])
redis.call('ZADD', KEYS[1], 'GT', ARGV[2], ARGV[1])
local left = ARGV[2] - ARGV[3]
if redis.call('PTTL', KEYS[1]) < left then redis.call('PEXPIRE', KEYS[1], left) end
return 1
