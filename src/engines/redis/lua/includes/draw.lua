-- What a take of a free lock needs, and nothing else: every function costs a script its making.
-- @include now

-- How long the lock's key lives: for the lease and the delay, and no less than the minimum hold.
local function life(ttl, delay, min_hold)
  return math.max(ttl + delay, min_hold)
end

-- Draws the next fence for a lease, no smaller than `least`, and returns it, or nil and an error
-- reply. This is the first write of every grant: where memory is full it fails before anything has
-- changed.
local function draw(key, identity, ttl, delay, min_hold, about, keep, least)
  local last = string.match(redis.call('GET', key) or '', '^%d+')
  local fence = math.max((last or 0) + 1, now_us, least or 0)
  local over = min_hold > 0 and now + ttl or 0
  local grant = string.format('%.0f %s %.0f %.0f %.0f ', fence, identity, now, over, delay) .. about
  local done = redis.pcall('SET', key, grant, 'PX', math.max(keep, life(ttl, delay, min_hold)))
  if done.err then return nil, done end
  return fence
end
