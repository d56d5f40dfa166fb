-- Who waits for a lock of any kind, over three keys of its slot:
--   line    sorted set: waiting identities by ticket;
--   alive   sorted set: waiting identities by the time, in ms, until which they count as alive;
--   places  hash: identity -> "<kind> <capacity> <permits> <grant ttl> <lock delay> <min hold>
--           <channel> <about>".
-- @include draw

-- Line, alive and places vanish this long after the last waiter was heard of.
local LINE_TTL = 60000
-- Nothing to see before the next renewal.
local FAR = 60000
-- Most places that one call takes out because their time is over: a script must end soon.
local SWEEP = 1000

-- How long the lock's key lives: for the lease and the delay, and no less than the minimum hold.
local function life(ttl, delay, min_hold)
  return math.max(ttl + delay, min_hold)
end

-- The keys of the place at this position among several, each with so many keys.
local function keys_at(at, stride)
  local first = stride * (at - 1) + 1
  return {
    lock = KEYS[first], fence = KEYS[first + 1], line = KEYS[first + 2],
    alive = KEYS[first + 3], places = KEYS[first + 4],
    holders = stride > 5 and KEYS[first + 5], leases = stride > 5 and KEYS[first + 6],
  }
end

local function read_place(text)
  local shape, permits, ttl, delay, min_hold, channel, about =
    string.match(text or '', '^(%S+ %d+) (%d+) (%d+) (%d+) (%d+) (%S+) (.*)$')
  if not shape then return nil end
  return {
    shape = shape, permits = tonumber(permits), ttl = tonumber(ttl), delay = tonumber(delay),
    min_hold = tonumber(min_hold), channel = channel, about = about,
  }
end

-- The first waiter and its place; no place where the record is gone.
local function read_front(keys)
  local front = redis.call('ZRANGE', keys.line, 0, 0)[1]
  return front, front and read_place(redis.call('HGET', keys.places, front))
end

-- Sends a message and returns how many processes heard it: none, where the user may not publish.
-- A channel with a hash tag is one of a Cluster: there the subscribers are at this very node, and
-- only SPUBLISH counts them, and bothers no other shard.
local function publish(channel, message)
  local heard
  if string.find(channel, '{', 1, true) then
    heard = redis.pcall('SPUBLISH', channel, message)
  else
    heard = redis.pcall('PUBLISH', channel, message)
  end
  return type(heard) == 'number' and heard or 0
end

-- Asks the front of the line to look: what it planned by has changed.
local function tell_front(keys)
  local front, place = read_front(keys)
  return place and publish(place.channel, front) > 0
end

local function leave(keys, ...)
  redis.call('HDEL', keys.places, ...)
  redis.call('ZREM', keys.alive, ...)
  return redis.call('ZREM', keys.line, ...) > 0
end

-- Joins the line, unless it is there. The record is what `places` holds; who is there gets the new
-- one, since on a Cluster its process may have to be told on another channel than before.
local function join(keys, identity, ticket, record)
  if redis.call('ZSCORE', keys.line, identity) then
    if redis.call('HGET', keys.places, identity) ~= record then
      redis.call('HSET', keys.places, identity, record)
    end
    return
  end
  if ticket == '' then
    local last = redis.call('ZRANGE', keys.line, -1, -1, 'WITHSCORES')[2]
    ticket = string.format('%.0f', math.max((last or 0) + 1, now_us))
  end
  redis.call('ZADD', keys.line, ticket, identity)
  redis.call('HSET', keys.places, identity, record)
end

-- A waiter was heard of.
local function stay(keys, identity, wait_ttl)
  -- First a command that takes no memory: a script that has written may go on when memory is full.
  redis.call('PEXPIRE', keys.line, LINE_TTL)
  redis.call('ZADD', keys.alive, 'GT', now + wait_ttl, identity)
  redis.call('PEXPIRE', keys.alive, LINE_TTL)
  redis.call('PEXPIRE', keys.places, LINE_TTL)
end

-- Takes silent waiters out. Once per line and call, since many of one process look together.
local swept = {}
local function sweep(keys)
  if swept[keys.line] then return end
  swept[keys.line] = true
  local silent = redis.call('ZRANGEBYSCORE', keys.alive, '-inf', now, 'LIMIT', 0, SWEEP)
  if #silent == 0 then return end
  local front = redis.call('ZRANGE', keys.line, 0, 0)[1]
  leave(keys, unpack(silent))
  if redis.call('ZRANGE', keys.line, 0, 0)[1] ~= front then tell_front(keys) end
end

-- How many places stand in front of this one, and its ticket; nil where it is not in the line.
local function rank(keys, identity)
  local ahead = redis.call('ZRANK', keys.line, identity)
  return ahead, ahead and string.format('%.0f', redis.call('ZSCORE', keys.line, identity))
end
