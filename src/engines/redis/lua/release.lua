-- Leaves a mutex, as holder or as waiter, and grants the next waiter in the same step.
-- KEYS: lock, fence, line, alive, places
-- ARGV: identity, min_hold_ms, keep_ms, lock_delay_ms
-- Returns whether the identity was there (1 or 0), and now us.
-- @include line

local keys, identity = keys_at(1), ARGV[1]
local min_hold, keep, delay = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local holder = redis.pcall('GET', keys.lock)

-- Keeps the lock, by nobody, for the rest of the minimum hold.
local function keep_for(rest)
  redis.call('SET', keys.lock, '~' .. identity, 'PX', rest)
  -- The front of the line planned its look by the lease, which may end later than this.
  local front = redis.call('ZRANGE', keys.line, 0, 0)[1]
  local record = front and redis.call('HGET', keys.places, front)
  local channel = record and string.match(record, '^%d+ %d+ %d+ (%S+) ')
  if channel then redis.call('PUBLISH', channel, front) end
  return { 1, now_us }
end

if holder == identity then
  if min_hold > 0 or delay > 0 then
    local value, grant = read_lock(keys)
    -- The lease is over; what keeps the lock now is not its holder's to end.
    if value ~= identity then return { 0, now_us } end
    local rest = grant and grant.since + min_hold - now or 0
    if rest > 0 then return keep_for(rest) end
  end
  redis.call('DEL', keys.lock)
  if redis.call('EXISTS', keys.line) == 1 then advance(keys, keep) end
  return { 1, now_us }
end

if redis.call('EXISTS', keys.line) == 0 then return { 0, now_us } end
sweep(keys)
local left = leave(keys, identity)
if not holder then advance(keys, keep) end
return { left and 1 or 0, now_us }
