-- What every grant of a mutex begins with.
-- @include now

-- Draws the next fence for a lease, no smaller than `least`, and returns it and how long the lock's
-- key lives: for the lease and the delay, and no less than the minimum hold. Or returns nil and an
-- error reply. This is the first write of every grant: where memory is full it fails before
-- anything has changed.
local function draw(key, identity, ttl, delay, min_hold, about, keep, least)
  local fence, over, alive = now_us, 0, ttl + delay
  if least and least > fence then fence = least end
  if min_hold > 0 then
    over = now + ttl
    if min_hold > alive then alive = min_hold end
  end
  if alive > keep then keep = alive end
  local grant = string.format(' %s %.0f %.0f %.0f ', identity, now, over, delay) .. about
  local last = redis.pcall('SET', key, string.format('%.0f', fence) .. grant, 'PX', keep, 'GET')
  if not last then return fence, alive end
  if last.err then return nil, last end
  last = tonumber(string.match(last, '^%d+')) or 0
  if last >= fence then
    -- The server's clock was set back, or a larger fence was asked for before.
    fence = last + 1
    redis.call('SET', key, string.format('%.0f', fence) .. grant, 'PX', keep)
  end
  return fence, alive
end
