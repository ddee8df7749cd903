-- Writes a checkpoint unless a newer one is stored. KEYS: checkpoint. ARGV: seq, state.
local seq = tonumber(redis.call('HGET', KEYS[1], 'seq') or '-1')
if seq > tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'seq', ARGV[1], 'state', ARGV[2])
return 1
