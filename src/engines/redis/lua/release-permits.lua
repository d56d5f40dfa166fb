-- Gives permits back, or leaves the line for them, and grants the next waiters in the same step.
-- KEYS: lock, fence, line, alive, places, holders, leases
-- ARGV: identity, min_hold_ms, keep_ms, force, shape
-- Returns whether the identity was there (1 or 0), and now us.
-- @include permits

local identity, min_hold, keep = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local force = ARGV[4] == '1'
local keys = keys_at(1, 7)

-- Gives back what stays taken after this identity. Returns whether there was any.
local function clear_after(lock)
  local name, cleared = find(lock, identity) and identity or '~' .. identity, false
  while redis.call('HEXISTS', keys.leases, name) == 1 do
    free(lock, { name })
    name, cleared = '~' .. name, true
  end
  return cleared
end

-- Gives back what stays taken by nobody. Only an operator asks for it, so all may be searched.
local function clear_all(lock)
  local cleared = false
  for _, name in ipairs(redis.call('ZRANGE', keys.holders, 0, -1)) do
    if find(lock, name).ends <= now or string.sub(name, 1, 1) == '~' then
      free(lock, { name })
      cleared = true
    end
  end
  return cleared
end

sweep(keys)
local front = redis.call('ZRANGE', keys.line, 0, 0)[1]
-- First what takes no memory, so that the rest may go on when it is full. A replica refuses it, so
-- that none says from old data that there is nothing to release.
local found = leave(keys, identity)
local lock = open(keys, ARGV[5])
if not lock then return { found and 1 or 0, now_us } end

local lease, kept = find(lock, identity), false
if lease and lease.ends > now then
  found = true
  local rest = force and 0 or lease.since + min_hold - now
  kept = rest > 0
  if kept then
    lease.ends = 0
    redis.call('ZADD', keys.holders, now + rest, identity)
    redis.call('HSET', keys.leases, identity, lease_text(lease))
    lock.changed = true
  else
    free(lock, { identity })
  end
end
if force then
  local cleared = identity == '' and clear_all(lock) or identity ~= '' and clear_after(lock)
  found = found or cleared
end
admit(lock, keep)
save(lock)
-- Who has come to the front has no plan when to look; who was there planned by a longer lease.
if lock.front and (front == identity or kept) then tell_front(keys) end
return { found and 1 or 0, now_us }
