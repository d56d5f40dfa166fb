-- Takes permits that are free, or joins the line for them.
-- KEYS: lock, fence, line, alive, places, holders, leases
-- ARGV: identity, ttl_ms, grant_ttl_ms, wait_ttl_ms, lock_delay_ms, min_hold_ms, keep_ms,
--   not_after_ms, wait, ticket, channel, about, least_fence, shape, permits
-- Returns what acquire does, and besides:
--   again, now us      (so many places are over that one call cannot take them all out)
-- @include permits

local identity, about, shape = ARGV[1], ARGV[12], ARGV[14]
local ttl, keep, wait = tonumber(ARGV[2]), tonumber(ARGV[7]), ARGV[9] == '1'
local record = { shape, ARGV[15], ARGV[3], ARGV[5], ARGV[6], ARGV[11], about }

-- Its caller has given up meanwhile: nobody would release what this request takes.
if now > tonumber(ARGV[8]) then return { 'late', now_us } end

local keys = keys_at(1, 7)
local lock, other = open(keys, shape)
if not lock then return other end

-- What the identity left taken when its last lease ended gives way to its new one.
local function set_aside()
  local name = '~' .. identity
  while redis.call('HEXISTS', keys.leases, name) == 1 do name = '~' .. name end
  redis.call('HSET', keys.leases, name, redis.call('HGET', keys.leases, identity))
  redis.call('ZADD', keys.holders, redis.call('ZSCORE', keys.holders, identity), name)
  redis.call('HDEL', keys.leases, identity)
  redis.call('ZREM', keys.holders, identity)
end

-- Takes the permits at once, if they are free and nobody waits. Returns the fence, or nil and an
-- error reply where memory is full.
local function take()
  local place = read_place(table.concat(record, ' '))
  if lock.front or place.permits > lock.capacity - lock.taken then return nil end
  local alive = life(ttl, place.delay, place.min_hold)
  local fence, failure = draw_first(lock, 1, alive, keep, tonumber(ARGV[13]))
  if not fence then return nil, failure end
  hold(lock, { { identity = identity, place = place, fence = fence, ttl = ttl } })
  return fence
end

-- Returns the fence and how much is left of the lease, if there is one; or nil and an error reply.
local function enter()
  local lease = find(lock, identity)
  if lease and lease.ends > now then
    -- A repeated request: its first reply was lost.
    local left = prolong(lock, identity, lease, ttl, keep, 0)
    admit(lock, keep)
    return lease.fence, left
  end
  if lease then set_aside() end
  -- Whoever has a ticket, or stands in the line, may be in front of others.
  local known = ARGV[10] ~= '' or redis.call('ZSCORE', keys.line, identity)
  if not known then
    admit(lock, keep)
    local fence, failure = take()
    if fence or failure then return fence, failure or ttl end
  end
  if wait or known then join(keys, identity, ARGV[10], table.concat(record, ' ')) end
  if wait then stay(keys, identity, ARGV[4]) end
  local fence = known and admit(lock, keep, identity, ttl)
  if not fence and not wait then
    -- Who would not wait any more leaves, and may have been in the way. It is also what a replica
    -- refuses, so that none answers from old data that a lock is taken.
    leave(keys, identity)
    admit(lock, keep)
  end
  return fence, ttl
end

local fence, left = enter()
if not fence and type(left) == 'table' then return left end
save(lock)
if fence then return { 'held', fence, left, now_us } end
if lock.more and not wait then return { 'again', now_us } end

local holder = redis.call('ZRANGE', keys.holders, 0, 0)[1] or ''
local shown = holder ~= '' and find(lock, holder)
-- A mark in front says that they are kept after the lease, by nobody.
if shown and shown.ends <= now then holder = '~' .. holder end
local shown_about = shown and shown.about or ''
if not wait then return { 'absent', now_us, holder, 1, shown_about } end
local ahead, ticket = rank(keys, identity)
local look = (ahead or 0) == 0 and look_ms(lock) or FAR
return { 'waiting', ahead or 0, look, now_us, ticket or '0', holder, 1, shown_about }
