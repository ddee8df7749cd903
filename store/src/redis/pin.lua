#!lua flags=allow-oom
-- Excludes a checkpoint from eviction if it has a seq of at least the given one.
-- KEYS: checkpoint, index. ARGV: sensor, seq. Returns 1 or 0.
local seq = tonumber(redis.call('HGET', KEYS[1], 'seq') or '-1')
if seq < tonumber(ARGV[2]) then return 0 end
redis.call('ZADD', KEYS[2], '+inf', ARGV[1])
return 1
