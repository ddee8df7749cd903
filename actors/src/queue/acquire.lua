#!lua flags=allow-oom
-- Takes a lease that is free and renews one's own. KEYS: lease. ARGV: node, ms. Returns 2, 1, or 0 where it is another's.
local holder = redis.call('GET', KEYS[1])
if not holder then redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) return 2 end
if holder == ARGV[1] then redis.call('PEXPIRE', KEYS[1], ARGV[2]) return 1 end
return 0
