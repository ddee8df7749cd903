#!lua flags=allow-oom
-- Deletes a checkpoint under a condition, and keeps the account of memory.
-- KEYS: checkpoint, index, memory of the partition. ARGV: sensor, condition, value.
-- Conditions: 'seq' (the checkpoint has this seq), 'worth' (its worth is at most this).
-- Returns 1 or 0 for deleted or not, and the memory of the partition's checkpoints.
local total = tonumber(redis.call('GET', KEYS[3]) or '0')
if ARGV[2] == 'seq' then
  if redis.call('HGET', KEYS[1], 'seq') ~= ARGV[3] then return {0, total} end
else
  local worth = redis.call('ZSCORE', KEYS[2], ARGV[1])
  if not worth or tonumber(worth) > tonumber(ARGV[3]) then return {0, total} end
end
total = total - tonumber(redis.call('HGET', KEYS[1], 'memory') or '0')
-- The account may have been lost since the checkpoint was stored. A recount corrects it.
total = math.max(0, total)
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('SET', KEYS[3], string.format('%.0f', total))
return {1, total}
