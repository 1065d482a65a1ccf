-- Puts ARGV[2] in the place of the record with the version and last use of ARGV[1], or of the bytes
-- ARGV[1]; '' removes it. A second key gets ARGV[4]. ARGV[3] and ARGV[5] are the times to live.
local found = redis.call('GET', KEYS[1])
if not found or (found:sub(2, 15) ~= ARGV[1] and found ~= ARGV[1]) then return found end
-- A full server refuses only the first write of a script, and never a DEL: a record may shrink.
if ARGV[2] == '' or (#KEYS == 1 and #ARGV[2] < #found) then redis.call('DEL', KEYS[1]) end
for i, key in ipairs(KEYS) do
  if ARGV[2 * i] ~= '' then redis.call('SET', key, ARGV[2 * i], 'PX', ARGV[2 * i + 1]) end
end
return 1
