-- Appends one entry to a partition's log. The log holds it exactly once, also after retries.
-- KEYS: log, writer. ARGV: producer, sequence, entry, bound on the log's length, generation.
local writer = redis.call('HMGET', KEYS[2], 'producer', 'sequence', 'generation')
if not writer[1] then return 'lost' end
if writer[1] ~= ARGV[1] then return 'fenced' end
-- The process may have opened another generation since it sent this entry. There the sequence
-- number belongs to another entry.
if writer[3] ~= ARGV[5] then return 'lost' end
local sequence, last = tonumber(ARGV[2]), tonumber(writer[2])
if sequence <= last then return 'already' end
if sequence > last + 1 then return 'lost' end
if redis.call('XLEN', KEYS[1]) >= tonumber(ARGV[4]) then return 'full' end
redis.call('XADD', KEYS[1], writer[3] .. '-' .. ARGV[2], 'e', ARGV[3])
redis.call('HSET', KEYS[2], 'sequence', ARGV[2])
return 'ok'
