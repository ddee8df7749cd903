-- Appends one entry to a partition's log, exactly once however often it is tried.
-- KEYS: log, writer. ARGV: nonce, n, entry, bound on the log's length, generation.
local writer = redis.call('HMGET', KEYS[2], 'nonce', 'n', 'generation')
if not writer[1] then return 'lost' end
if writer[1] ~= ARGV[1] then return 'fenced' end
-- A process may have opened another generation since it sent this: there the number means another entry.
if writer[3] ~= ARGV[5] then return 'lost' end
local n, last = tonumber(ARGV[2]), tonumber(writer[2])
if n <= last then return 'already' end
if n > last + 1 then return 'lost' end
if redis.call('XLEN', KEYS[1]) >= tonumber(ARGV[4]) then return 'full' end
redis.call('XADD', KEYS[1], writer[3] .. '-' .. ARGV[2], 'e', ARGV[3])
redis.call('HSET', KEYS[2], 'n', ARGV[2])
return 'ok'
