-- Takes a mutex that is free, or joins its line.
-- KEYS: lock, fence, line, alive, places
-- ARGV: identity, ttl_ms, grant_ttl_ms, wait_ttl_ms, lock_delay_ms, min_hold_ms, keep_ms,
--   not_after_ms, wait, ticket, channel, about, least_fence
-- Returns one of:
--   held, fence, ms left, now us
--   waiting, ahead, look ms, now us, ticket, holder, ours, about
--   absent, now us, holder, ours, about      (wait is 0 and somebody is there)
--   late, now us                             (the request came after not_after_ms)
--   shape, kind and capacity                 (the name is another lock)
--   occupied, type                           (the lock's key holds no string)
-- @include draw

local identity, about = ARGV[1], ARGV[12]
local ttl, delay, min_hold = tonumber(ARGV[2]), tonumber(ARGV[5]), tonumber(ARGV[6])
local keep, wait = tonumber(ARGV[7]), ARGV[9] == '1'

-- Its caller has given up meanwhile: nobody would release what this request takes.
if now > tonumber(ARGV[8]) then return { 'late', now_us } end

local least = tonumber(ARGV[13])

if redis.call('EXISTS', KEYS[1], KEYS[3]) == 0 then
  local fence, alive = draw(KEYS[2], identity, ttl, delay, min_hold, about, keep, least)
  if not fence then return alive end
  redis.call('SET', KEYS[1], identity, 'PX', alive)
  return { 'held', fence, ttl, now_us }
end

-- @include mutex

local keys = keys_at(1, 5)
local holder, grant = read_lock(keys)
if type(holder) == 'table' then return { 'occupied', redis.call('TYPE', keys.lock).ok } end

if holder == identity then
  -- A repeated request: its first reply was lost. Where the fence record is gone too, evicted or
  -- deleted by hand, a new fence is larger than the old one.
  if not grant then
    local fence, failure = draw(keys.fence, identity, ttl, delay, min_hold, about, keep)
    if not fence then return failure end
    grant = read_grant(keys.fence)
  end
  return { 'held', grant.fence, prolong(keys, keep, grant, ttl, delay, min_hold), now_us }
end

local other = not grant and other_shape(keys, holder)
if other then return { 'shape', other } end

-- Whoever has a ticket may be in front of others.
if wait or ARGV[10] ~= '' then
  sweep(keys)
  local record = { SHAPE, 1, ARGV[3], ARGV[5], ARGV[6], ARGV[11], about }
  join(keys, identity, ARGV[10], table.concat(record, ' '))
end
if wait then stay(keys, identity, ARGV[4]) end

if not holder then
  local fence = advance(keys, keep, identity, ttl)
  if fence then return { 'held', fence, ttl, now_us } end
  -- Everybody in the line was dead.
  if redis.call('EXISTS', keys.lock, keys.line) == 0 then
    local failure
    fence, failure = draw(keys.fence, identity, ttl, delay, min_hold, about, keep, least)
    if not fence then return failure end
    redis.call('SET', keys.lock, identity, 'PX', life(ttl, delay, min_hold))
    return { 'held', fence, ttl, now_us }
  end
  holder, grant = read_lock(keys)
end

-- Who would not wait any more leaves. It is also what a replica refuses, so that none answers from
-- old data that a lock is taken.
if not wait then leave(keys, identity) end

local ours = grant and 1 or 0
local shown = grant and grant.about or ''
if not wait then return { 'absent', now_us, holder or '', ours, shown } end
local ahead, ticket = rank(keys, identity)
local look = (ahead or 0) == 0 and look_ms(keys, grant) or FAR
return { 'waiting', ahead or 0, look, now_us, ticket or '0', holder or '', ours, shown }
