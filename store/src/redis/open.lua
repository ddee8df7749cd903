-- Makes the caller the only writer of a partition's log, in a new generation. Returns 'fenced' if a
-- later ingress has opened the log.
-- KEYS: log, writer. ARGV: producer, least generation, ingress epoch. Returns the generation and
-- the id of the log's last entry.
local ingress_epoch = tonumber(redis.call('HGET', KEYS[2], 'ingress_epoch') or '0')
if ingress_epoch > tonumber(ARGV[3]) then return {'0', 'fenced'} end
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
redis.call('HSET', KEYS[2], 'producer', ARGV[1], 'sequence', '0', 'generation', generation, 'ingress_epoch', ARGV[3])
return {generation, last}
