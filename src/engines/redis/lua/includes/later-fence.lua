-- Finds the later fence that was seen at the mark, and remembers this one when there is none.
local seen = redis.call('GET', KEYS[1])
local later = seen and tonumber(seen) > tonumber(ARGV[1]) and seen
if not later then
  if ARGV[2] == '0' then
    redis.call('SET', KEYS[1], ARGV[1])
  else
    redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  end
end
