#!lua flags=allow-oom
-- Deletes the committed entries of a partition's log. If the log ends before the committed position,
-- Redis has lost entries. If its writer's generation is before the position, too, no reader would ever
-- see its entries: its next append is lost, and it opens a generation after the position.
-- KEYS: log, writer. ARGV: generation and number of the committed position, first id to keep.
-- Returns how many entries are left, and 1 if the writer must open a new generation.
local generation, n = tonumber(ARGV[1]), tonumber(ARGV[2])
local last = '0-0'
if redis.call('EXISTS', KEYS[1]) == 1 then
  local info = redis.call('XINFO', 'STREAM', KEYS[1])
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then last = info[i + 1] end
  end
end
local newest, number = string.match(last, '^(%d+)-(%d+)$')
newest, number = tonumber(newest), tonumber(number)
local reopens = 0
if newest < generation or (newest == generation and number < n) then
  local writer = tonumber(redis.call('HGET', KEYS[2], 'generation'))
  if writer and writer < generation then
    redis.call('HSET', KEYS[2], 'generation', ARGV[1])
    redis.call('HDEL', KEYS[2], 'producer')
    reopens = 1
  end
end
redis.call('XTRIM', KEYS[1], 'MINID', '=', ARGV[3])
return {redis.call('XLEN', KEYS[1]), reopens}
