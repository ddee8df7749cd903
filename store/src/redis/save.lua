-- Writes a checkpoint unless a newer one is stored, and keeps the account of memory.
-- KEYS: checkpoint, index, memory of the partition. ARGV: seq, state, memory, worth, sensor.
-- Returns 1 or 0 for written or not, and the memory of the partition's checkpoints.
local stored = redis.call('HMGET', KEYS[1], 'seq', 'memory')
local total = tonumber(redis.call('GET', KEYS[3]) or '0')
if tonumber(stored[1] or '-1') > tonumber(ARGV[1]) then return {0, total} end
redis.call('HSET', KEYS[1], 'seq', ARGV[1], 'state', ARGV[2], 'memory', ARGV[3])
-- The worth of a checkpoint that must not be evicted is infinite, and stays so.
redis.call('ZADD', KEYS[2], 'GT', ARGV[4], ARGV[5])
total = total + tonumber(ARGV[3]) - tonumber(stored[2] or '0')
-- The account may have been lost since the checkpoint was stored. A recount corrects it.
total = math.max(0, total)
redis.call('SET', KEYS[3], string.format('%.0f', total))
return {1, total}
