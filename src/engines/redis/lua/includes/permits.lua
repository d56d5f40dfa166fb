-- Who holds permits of a lock that several can hold, over four keys of its slot:
--   lock     string: "#<kind> <capacity> <permits taken>", which lives until the last of them is
--            free; without it nobody holds any;
--   fence    string: the last fence;
--   holders  sorted set: identity by the time, in ms, from which its permits are free when it is
--            not heard of again;
--   leases   hash: identity -> "<permits> <fence> <granted at> <lease until> <lock delay>
--            <min hold> <about>". Once the lease is over it keeps its permits, as nobody's, for the
--            lock delay or the minimum hold; should its identity come back meanwhile, the old entry
--            gets ~ in front of its name.
-- @include line

-- Most waiters granted by one call, and at one go: a script must end soon.
local MOST, BATCH = 200, 100

local function read_lease(text)
  local permits, fence, since, ends, delay, min_hold, about =
    string.match(text or '', '^(%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (.*)$')
  if not permits then return nil end
  return {
    permits = tonumber(permits), fence = tonumber(fence), since = tonumber(since),
    ends = tonumber(ends), delay = tonumber(delay), min_hold = tonumber(min_hold), about = about,
  }
end

local function lease_text(lease)
  return string.format('%.0f %.0f %.0f %.0f %.0f %.0f ', lease.permits, lease.fence, lease.since,
    lease.ends, lease.delay, lease.min_hold) .. lease.about
end

local function find(lock, identity)
  return read_lease(redis.call('HGET', lock.keys.leases, identity))
end

-- Gives back the permits of these holders.
local function free(lock, identities)
  for _, text in ipairs(redis.call('HMGET', lock.keys.leases, unpack(identities))) do
    local lease = read_lease(text)
    lock.taken = lock.taken - (lease and lease.permits or 0)
  end
  redis.call('ZREM', lock.keys.holders, unpack(identities))
  redis.call('HDEL', lock.keys.leases, unpack(identities))
  lock.changed = true
end

-- Writes what has changed. Whatever the last holder leaves goes with it.
local function save(lock)
  if not lock.changed then return end
  local keys = lock.keys
  local last = redis.call('ZRANGE', keys.holders, -1, -1, 'WITHSCORES')[2]
  if not last then
    redis.call('DEL', keys.lock, keys.holders, keys.leases)
    return
  end
  local left = math.max(1, last - now)
  local value = string.format('#%s %.0f', lock.shape, lock.taken)
  redis.call('SET', keys.lock, value, 'PX', left)
  redis.call('PEXPIRE', keys.holders, left)
  redis.call('PEXPIRE', keys.leases, left)
end

-- The lock as this shape, without those whose time is over; or nil, and a reply that says what the
-- name is instead.
local function open(keys, shape)
  local value = redis.pcall('GET', keys.lock)
  if type(value) == 'table' then
    if not string.find(value.err, 'WRONGTYPE', 1, true) then redis.call('GET', keys.lock) end
    return nil, { 'occupied', redis.call('TYPE', keys.lock).ok }
  end
  local found, taken = string.match(value or '', '^#(%S+ %d+) (%d+)$')
  if value and not found then
    local identity = string.match(redis.call('GET', keys.fence) or '', '^%d+ (%S+) ')
    local ours = identity and (value == identity or value == '~' .. identity)
    return nil, ours and { 'shape', 'mutex 1' } or { 'occupied', 'string' }
  end
  if redis.call('EXISTS', keys.holders, keys.leases) ~= (found and 2 or 0) then
    -- A part was deleted or evicted. What is left does not say who holds: nobody does.
    redis.call('DEL', keys.lock, keys.holders, keys.leases)
    found, taken = nil, nil
  end
  if not found then
    local _, place = read_front(keys)
    found = place and place.shape
  end
  if found and found ~= shape then return nil, { 'shape', found } end
  local lock = {
    keys = keys, shape = shape, capacity = tonumber(string.match(shape, '%d+$')),
    taken = tonumber(taken) or 0,
  }
  local over = redis.call('ZRANGEBYSCORE', keys.holders, '-inf', now, 'LIMIT', 0, SWEEP)
  if #over > 0 then
    free(lock, over)
    save(lock)
  end
  lock.more = #over == SWEEP
  sweep(keys)
  return lock
end

-- Draws fences for so many leases, none smaller than `least`, and returns the first, or nil and an
-- error reply. This is the first write of every grant: where memory is full it fails before
-- anything has changed.
local function draw_first(lock, count, alive, keep, least)
  local last = string.match(redis.call('GET', lock.keys.fence) or '', '^%d+')
  local first = math.max((last or 0) + 1, now_us, least or 0)
  local record = string.format('%.0f', first + count - 1)
  local done = redis.pcall('SET', lock.keys.fence, record, 'PX', math.max(keep, alive))
  if done.err then return nil, done end
  return first
end

-- Puts places in as holders, each under its fence.
local function hold(lock, granted)
  local ends, texts = {}, {}
  for _, each in ipairs(granted) do
    local place = each.place
    ends[#ends + 1] = now + life(each.ttl, place.delay, place.min_hold)
    ends[#ends + 1] = each.identity
    texts[#texts + 1] = each.identity
    texts[#texts + 1] = lease_text({
      permits = place.permits, fence = each.fence, since = now, ends = now + each.ttl,
      delay = place.delay, min_hold = place.min_hold, about = place.about,
    })
    lock.taken = lock.taken + place.permits
  end
  if #granted == 0 then return end
  redis.call('ZADD', lock.keys.holders, unpack(ends))
  redis.call('HSET', lock.keys.leases, unpack(texts))
  lock.changed = true
end

-- The waiters from the front that fit together, and how long the longest of their leases lives.
local function fitting(lock, most, caller, caller_ttl)
  local keys, room = lock.keys, lock.capacity - lock.taken
  -- At least one: where its record is gone, the front is taken out even while nothing is free.
  local last = math.max(1, math.min(most, BATCH, room)) - 1
  local identities = redis.call('ZRANGE', keys.line, 0, last)
  local records = redis.call('HMGET', keys.places, unpack(identities))
  local batch, alive = {}, 0
  for at, identity in ipairs(identities) do
    local place = read_place(records[at])
    if place and place.permits > room then break end
    local ttl = identity == caller and caller_ttl or place and place.ttl
    batch[at] = { identity = identity, place = place, ttl = ttl }
    if place then
      room = room - place.permits
      alive = math.max(alive, life(ttl, place.delay, place.min_hold))
    end
  end
  return batch, alive
end

-- Tells each process of its grants in one message, and returns those that were told: the caller's
-- is told by reply. A process that was deaf once is not tried again.
local function tell(batch, caller, deaf)
  local messages, channels, told = {}, {}, {}
  for _, each in ipairs(batch) do
    local channel = each.place and each.place.channel
    if channel and each.identity ~= caller then
      local text = string.format('%s %.0f %.0f %.0f', each.identity, each.fence, now_us, each.ttl)
      if not messages[channel] then
        messages[channel] = {}
        channels[#channels + 1] = channel
      end
      table.insert(messages[channel], text)
    end
  end
  for _, channel in ipairs(channels) do
    if not deaf[channel] then
      deaf[channel] = publish(channel, table.concat(messages[channel], '\n')) == 0
    end
  end
  for _, each in ipairs(batch) do
    local heard = each.place and (each.identity == caller or not deaf[each.place.channel])
    if heard then told[#told + 1] = each end
  end
  return told
end

-- Grants from the front while permits last, and returns the caller's fence when it was among them
-- (it gets caller_ttl). Waiters that cannot be reached leave the line; one that lives comes back
-- with its ticket. Who comes after the most that one call grants is asked to look for itself: its
-- look grants the next.
local function admit(lock, keep, caller, caller_ttl)
  local keys, deaf, mine, left = lock.keys, {}, nil, MOST
  while true do
    local front, place = read_front(keys)
    lock.front = front
    if not front or place and place.permits > lock.capacity - lock.taken then return mine end
    if left <= 0 then
      left = left - 1
      if tell_front(keys) or left <= -MOST then return mine end
      leave(keys, front)
    else
      local batch, alive = fitting(lock, left, caller, caller_ttl)
      local first = draw_first(lock, #batch, alive, keep)
      if not first then return mine end
      local names = {}
      for at, each in ipairs(batch) do
        each.fence = first + at - 1
        names[at] = each.identity
        if each.identity == caller then mine = each.fence end
      end
      hold(lock, tell(batch, caller, deaf))
      leave(keys, unpack(names))
      left = left - #batch
    end
  end
end

-- Prolongs a lease, never shortens it, raises its fence, and returns how much of it is left.
local function prolong(lock, identity, lease, ttl, keep, fence)
  local keys = lock.keys
  if now + ttl <= lease.ends and fence <= lease.fence then return lease.ends - now end
  lease.ends = math.max(lease.ends, now + ttl)
  local until_ms = math.max(lease.ends + lease.delay, lease.since + lease.min_hold)
  local left = until_ms - now
  -- First commands that take no memory: a script that has written may go on when memory is full.
  for _, key in ipairs({ keys.lock, keys.holders, keys.leases }) do
    redis.call('PEXPIRE', key, left, 'GT')
  end
  redis.call('PEXPIRE', keys.fence, math.max(keep, left), 'GT')
  if fence > lease.fence then
    lease.fence = fence
    local last = tonumber(string.match(redis.call('GET', keys.fence) or '0', '^%d+'))
    local record = string.format('%.0f', math.max(last, fence))
    redis.call('SET', keys.fence, record, 'PX', math.max(keep, left))
  end
  redis.call('ZADD', keys.holders, until_ms, identity)
  redis.call('HSET', keys.leases, identity, lease_text(lease))
  return lease.ends - now
end

-- After how many ms the front of the line should look again: when the first permits may be free.
local function look_ms(lock)
  local first = redis.call('ZRANGE', lock.keys.holders, 0, 0, 'WITHSCORES')[2]
  return first and math.max(0, first - now) + 1 or FAR
end
