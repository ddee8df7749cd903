#!lua flags=allow-oom
-- Takes a free lease, or renews the lease of this node. KEYS: lease. ARGV: node, ms.
-- Returns 2 (taken), 1 (renewed) or 0 (held by another node).
local holder = redis.call('GET', KEYS[1])
if not holder then redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) return 2 end
if holder == ARGV[1] then redis.call('PEXPIRE', KEYS[1], ARGV[2]) return 1 end
return 0
