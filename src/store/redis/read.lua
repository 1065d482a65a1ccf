-- All fields of sessions. KEYS: the sessions.
local answer = {}
for at, session in ipairs(KEYS) do
  answer[at] = redis.call('HGETALL', session)
end
return { 'stored', answer }
