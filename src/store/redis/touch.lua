-- Records a use at ARGV[1] with the deadline ARGV[2], as `Record::touch` does, if the session lives.
local head = redis.call('GETRANGE', KEYS[1], 0, 26)
if #head < 27 or head:byte() ~= 1 then return 0 end
local at, deadline, far = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[1] + 300000
local used, created, ends = struct.unpack('<I6I6I6', head, 10)
if at >= ends or (at <= used and used <= far) then return 0 end
if created > far then created = at end
redis.call('SETRANGE', KEYS[1], 9, struct.pack('<I6I6I6', at, created, deadline))
return redis.call('PEXPIRE', KEYS[1], deadline - at)
