-- Makes the caller the only writer of a partition's log, in a new generation, unless a later holder of the subscription has been here.
-- KEYS: log, writer. ARGV: nonce, the earliest generation, tenure. Returns the generation and the id of the log's last entry.
local tenure = tonumber(redis.call('HGET', KEYS[2], 'tenure') or '0')
if tenure > tonumber(ARGV[3]) then return {'0', 'fenced'} end
local last = '0-0'
if redis.call('EXISTS', KEYS[1]) == 1 then
  local info = redis.call('XINFO', 'STREAM', KEYS[1])
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then last = info[i + 1] end
  end
end
local before = tonumber(redis.call('HGET', KEYS[2], 'generation') or '0')
local newest = tonumber(string.match(last, '^(%d+)-'))
local generation = string.format('%.0f', math.max(before + 1, newest + 1, tonumber(ARGV[2])))
redis.call('HSET', KEYS[2], 'nonce', ARGV[1], 'n', '0', 'generation', generation, 'tenure', ARGV[3])
return {generation, last}
