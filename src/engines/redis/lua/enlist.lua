-- Notes that a list of nodes is in use, and tells which others were, latest last.
-- KEYS: lists, users
-- ARGV: list, by, node, keep, shown
-- A list has the time of its last use as its score; this node has its name there, with no end.
-- Returns the node's name, its age, and the other lists, each with who used it and how long ago.
-- @include now

local lists, users = KEYS[1], KEYS[2]
local list, keep, shown = ARGV[1], tonumber(ARGV[4]), tonumber(ARGV[5])
local DAY = 86400000

local node = redis.call('ZRANGEBYSCORE', lists, '+inf', '+inf')[1]
if not node then
  node = ARGV[3] .. ' ' .. now
  redis.call('ZADD', lists, '+inf', node)
end

-- Where the clock was set back, notes of the future would seem to be in use until it comes.
for _, over in ipairs({ { '-inf', '(' .. now - keep }, { '(' .. now, '(+inf' } }) do
  for _, old in ipairs(redis.call('ZRANGEBYSCORE', lists, over[1], over[2])) do
    redis.call('ZREM', lists, old)
    redis.call('HDEL', users, old)
  end
end

local others = {}
local latest = redis.call('ZRANGE', lists, -2 - shown, -2, 'WITHSCORES')
for at = 1, #latest, 2 do
  local other = latest[at]
  if other ~= list then
    local by = redis.call('HGET', users, other) or ''
    others[#others + 1] = { other, by, now - tonumber(latest[at + 1]) }
  end
end

if list ~= '' then
  redis.call('ZADD', lists, now, list)
  redis.call('HSET', users, list, ARGV[2])
end
redis.call('PEXPIRE', lists, DAY)
redis.call('PEXPIRE', users, DAY)
local name, made = string.match(node, '^(%S+) (%d+)$')
return { name, math.max(0, now - tonumber(made)), others }
