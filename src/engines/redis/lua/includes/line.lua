-- The line of one mutex, over five keys of one slot:
--   lock    string: the holder's identity (the plain recipe's key). Its TTL is the lease, and more
--           where a lock delay or a minimum hold keeps the lock; then, once the lease is over, the
--           value starts with ~ as soon as somebody notices;
--   fence   string: "<last fence> <identity> <granted at> <lease until> <lock delay> <about>", in
--           ms; until is 0 where the lock's TTL tells it;
--   line    sorted set: waiting identities by ticket;
--   alive   sorted set: waiting identities by the time, in ms, until which they count as alive;
--   places  hash: identity -> "<grant ttl> <lock delay> <min hold> <channel> <about>".
-- @include draw

-- Line, alive and places vanish this long after the last waiter was heard of.
local LINE_TTL = 60000
-- How soon to look again at a holder that does not tell when it leaves.
local FOREIGN_LOOK = 250
-- Nothing to see before the next renewal.
local FAR = 60000

-- The keys of the place at this position among several.
local function keys_at(at)
  local first = 5 * at - 4
  return {
    lock = KEYS[first], fence = KEYS[first + 1], line = KEYS[first + 2],
    alive = KEYS[first + 3], places = KEYS[first + 4],
  }
end

local function read_grant(key)
  local text = redis.call('GET', key) or ''
  local fence, identity, since, over, delay, about =
    string.match(text, '^(%d+) (%S+) (%d+) (%d+) (%d+) (.*)$')
  return {
    fence = tonumber(fence) or 0, identity = identity or '', since = tonumber(since) or 0,
    over = tonumber(over) or 0, delay = tonumber(delay) or 0, about = about or '',
  }
end

-- Milliseconds left of the lease itself.
local function lease_left(keys, grant)
  if grant.over > 0 then return grant.over - now end
  return redis.call('PTTL', keys.lock) - grant.delay
end

-- The lock's value, and its grant if Holdfast wrote it. The value of a lease that is over, but
-- whose lock is still kept, is marked on the way: that identity is no holder any more.
local function read_lock(keys)
  local value = redis.pcall('GET', keys.lock)
  if not value then return value, nil end
  if type(value) == 'table' then
    -- Any other failure says nothing about what the key holds, and is raised.
    if not string.find(value.err, 'WRONGTYPE', 1, true) then redis.call('GET', keys.lock) end
    return value, nil
  end
  local grant = read_grant(keys.fence)
  -- Without a record the value is foreign, an empty one too.
  if grant.fence == 0 then return value, nil end
  if value == grant.identity and lease_left(keys, grant) <= 0 then
    value = '~' .. value
    -- The mark saves others the reckoning; where memory is full it has to wait.
    redis.pcall('SET', keys.lock, value, 'KEEPTTL')
  end
  if value == grant.identity or value == '~' .. grant.identity then return value, grant end
  return value, nil
end

-- Never shortens what another setting of the same lease asked for.
local function prolong(keys, keep, grant, ttl, delay, min_hold)
  local left = lease_left(keys, grant)
  if left >= ttl then return left end
  local alive = math.max(ttl + delay, grant.since + min_hold - now)
  redis.call('PEXPIRE', keys.lock, alive)
  local kept = math.max(keep, alive)
  if grant.over > 0 then
    -- The lock's own TTL does not tell the end of this lease, so the record does.
    local text = redis.call('GET', keys.fence)
    local head, delay_about = string.match(text, '^(%d+ %S+ %d+ )%d+( .*)$')
    redis.call('SET', keys.fence, head .. string.format('%.0f', now + ttl) .. delay_about, 'PX', kept)
  else
    redis.call('PEXPIRE', keys.fence, kept)
  end
  return ttl
end

-- Sends a message and returns how many processes heard it: none, where the user may not publish.
-- A channel with a hash tag is one of a Cluster. There only the subscribers at this very node count,
-- and only a message by SPUBLISH stays with them.
local function publish(channel, message)
  local sharded = string.find(channel, '{', 1, true)
  local heard = redis.pcall(sharded and 'SPUBLISH' or 'PUBLISH', channel, message)
  return type(heard) == 'number' and heard or 0
end

-- Asks the front of the line to look: what it planned by has changed.
local function tell_front(keys)
  local front = redis.call('ZRANGE', keys.line, 0, 0)[1]
  local record = front and redis.call('HGET', keys.places, front)
  local channel = record and string.match(record, '^%d+ %d+ %d+ (%S+) ')
  if channel then publish(channel, front) end
end

local function leave(keys, identity)
  redis.call('HDEL', keys.places, identity)
  redis.call('ZREM', keys.alive, identity)
  return redis.call('ZREM', keys.line, identity) == 1
end

-- A waiter was heard of.
local function stay(keys, identity, wait_ttl)
  -- First a command that takes no memory: a script that has written may go on when memory is full.
  redis.call('PEXPIRE', keys.line, LINE_TTL)
  redis.call('ZADD', keys.alive, now + wait_ttl, identity)
  redis.call('PEXPIRE', keys.alive, LINE_TTL)
  redis.call('PEXPIRE', keys.places, LINE_TTL)
end

-- Takes silent waiters out. Once per line and call, since many of one process look together.
local swept = {}
local function sweep(keys)
  if swept[keys.line] then return end
  swept[keys.line] = true
  local silent = redis.call('ZRANGEBYSCORE', keys.alive, '-inf', now)
  if #silent == 0 then return end
  local front = redis.call('ZRANGE', keys.line, 0, 0)[1]
  for _, identity in ipairs(silent) do leave(keys, identity) end
  if redis.call('ZRANGE', keys.line, 0, 0)[1] ~= front then tell_front(keys) end
end

-- Grants the free lock to the first waiter that can be told, by reply when it is the caller (which
-- gets caller_ttl), else by push. Returns the fence when it was the caller. Waiters that cannot be
-- reached leave the line; one that lives comes back with its ticket.
local function advance(keys, keep, caller, caller_ttl)
  sweep(keys)
  local deaf = {}
  while true do
    local front = redis.call('ZRANGE', keys.line, 0, 0)[1]
    if not front then return nil end
    local record = redis.call('HGET', keys.places, front) or ''
    local ttl, delay, min_hold, channel, about =
      string.match(record, '^(%d+) (%d+) (%d+) (%S+) (.*)$')
    local is_caller = front == caller
    if channel and (is_caller or not deaf[channel]) then
      ttl, delay, min_hold = tonumber(ttl), tonumber(delay), tonumber(min_hold)
      if is_caller then ttl = caller_ttl end
      local fence = draw(keys.fence, front, ttl, delay, min_hold, about, keep)
      if not fence then return nil end
      local message = string.format('%s %.0f %.0f %.0f', front, fence, now_us, ttl)
      if is_caller or publish(channel, message) > 0 then
        redis.call('SET', keys.lock, front, 'PX', life(ttl, delay, min_hold))
        leave(keys, front)
        return is_caller and fence or nil
      end
      deaf[channel] = true
    end
    leave(keys, front)
  end
end

-- After how many ms the front of the line should look again at this holder.
local function look_ms(keys, ours)
  local left = redis.call('PTTL', keys.lock)
  if left < 0 then return FOREIGN_LOOK end
  return ours and left + 1 or math.min(left + 1, FOREIGN_LOOK)
end
