#!lua flags=allow-oom
-- Computes the memory of a partition's checkpoints again, and drops the entries of checkpoints that
-- are gone. KEYS: index, memory of the partition. ARGV: what the key of a checkpoint begins with.
-- Returns the memory.
local total = 0
for _, sensor in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  local checkpoint = ARGV[1] .. sensor
  local memory = redis.call('HGET', checkpoint, 'memory')
  -- A checkpoint of an earlier version has no such field.
  if memory then
    total = total + tonumber(memory)
  elseif redis.call('EXISTS', checkpoint) == 0 then
    redis.call('ZREM', KEYS[1], sensor)
  end
end
redis.call('SET', KEYS[2], string.format('%.0f', total))
return total
