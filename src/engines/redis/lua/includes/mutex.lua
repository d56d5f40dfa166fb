-- Who holds a mutex, over two keys of its slot:
--   lock    string: the holder's identity (the plain recipe's key). Its TTL is the lease, and more
--           where a lock delay or a minimum hold keeps the lock; then, once the lease is over, the
--           value starts with ~ as soon as somebody notices. A value that starts with # is a lock
--           of another kind, see permits;
--   fence   string: "<last fence> <identity> <granted at> <lease until> <lock delay> <about>", in
--           ms; until is 0 where the lock's TTL tells it.
-- @include line

local SHAPE = 'mutex 1'
-- How soon to look again at a holder that does not tell when it leaves.
local FOREIGN_LOOK = 250

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

-- The other shape that the name has, if any: by its holders, or by its line while nobody holds it.
local function other_shape(keys, value)
  local shape = value and string.match(value, '^#(%S+ %d+) %d+$')
  if not shape then
    local _, place = read_front(keys)
    shape = place and place.shape
  end
  return shape ~= SHAPE and shape or nil
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

-- Grants the free lock to the first waiter that can be told, by reply when it is the caller (which
-- gets caller_ttl), else by push. Returns the fence when it was the caller. Waiters that cannot be
-- reached leave the line; one that lives comes back with its ticket. `unheard` is a channel that was
-- tried before.
local function advance(keys, keep, caller, caller_ttl, unheard)
  sweep(keys)
  local deaf = {}
  if unheard then deaf[unheard] = true end
  while true do
    local front, place = read_front(keys)
    if not front or place and place.shape ~= SHAPE then return nil end
    local is_caller = front == caller
    if place and (is_caller or not deaf[place.channel]) then
      local ttl = is_caller and caller_ttl or place.ttl
      local fence = draw(keys.fence, front, ttl, place.delay, place.min_hold, place.about, keep)
      if not fence then return nil end
      local message = string.format('%s %.0f %.0f %.0f', front, fence, now_us, ttl)
      if is_caller or publish(place.channel, message) > 0 then
        redis.call('SET', keys.lock, front, 'PX', life(ttl, place.delay, place.min_hold))
        leave(keys, front)
        return is_caller and fence or nil
      end
      deaf[place.channel] = true
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
