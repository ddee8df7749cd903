-- Lists checkpoints of a partition, those that are worth least first.
-- KEYS: index. ARGV: what the key of a checkpoint begins with, greatest worth, maximum number (-1
-- for all). Returns for each the sensor, its worth, its memory and its seq.
local found = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[2], 'WITHSCORES', 'LIMIT', 0, ARGV[3])
local listed = {}
for i = 1, #found, 2 do
  local stored = redis.call('HMGET', ARGV[1] .. found[i], 'memory', 'seq')
  listed[#listed + 1] = {found[i], found[i + 1], stored[1] or '0', stored[2] or '0'}
end
return listed
