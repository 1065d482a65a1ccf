-- Records a use. KEYS: session. ARGV: now, grace, longest time to live.
local now = tonumber(ARGV[1])
local meta = redis.call('HMGET', KEYS[1], 'm:form', 'm:used', 'm:idle', 'm:ends')
if not meta[1] then
  return { 'gone' }
end
if meta[1] ~= '1' then
  return { 'form', meta[1] }
end
local used, timeout, ends = tonumber(meta[2]), tonumber(meta[3]), tonumber(meta[4])
if now >= math.min(used + timeout, ends) then
  return { 'gone' }
end
if now > used then
  local left = math.min(now + timeout, ends) - now + tonumber(ARGV[2])
  redis.call('HSET', KEYS[1], 'm:used', ARGV[1])
  redis.call('PEXPIRE', KEYS[1], string.format('%.0f', math.min(left, tonumber(ARGV[3]))))
end
return { 'stored' }
