-- Keeps many places alive at mutexes, held and waiting ones, and says where each stands.
-- KEYS: lock, fence, line, alive, places...
-- ARGV: keep_ms, identity, ttl_ms, wait_ttl_ms, lock_delay_ms, min_hold_ms, fence...
-- Returns now us, then for each place one of:
--   held, fence, ms left
--   waiting, ahead, look ms, ticket
--   absent
--   unknown, why
-- @include mutex

local keep = tonumber(ARGV[1])

-- Nobody but the holder raises the fence. Returns what it is then.
local function raise(keys, grant, fence)
  if fence <= grant.fence then return grant.fence end
  local rest = string.match(redis.call('GET', keys.fence), '^%d+( .*)$')
  redis.call('SET', keys.fence, string.format('%.0f', fence) .. rest, 'KEEPTTL')
  return fence
end

local function renew(at, keys)
  local identity, ttl, wait_ttl = ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local delay, min_hold = tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4])
  local holder, grant = read_lock(keys)
  -- The key was overwritten with something that is no string: nobody holds this mutex.
  if type(holder) == 'table' then return { 'absent' } end
  if holder == identity then
    if not grant then
      -- The fence record is gone, evicted or deleted: a new fence is larger than the old one.
      local fence, failure = draw(keys.fence, identity, ttl, delay, min_hold, '', keep)
      if not fence then return { 'unknown', failure.err } end
      grant = read_grant(keys.fence)
    end
    local left = prolong(keys, keep, grant, ttl, delay, min_hold)
    return { 'held', raise(keys, grant, tonumber(ARGV[at + 5])), left }
  end
  sweep(keys)
  if not redis.call('ZSCORE', keys.alive, identity) then
    -- A replica refuses to write, so that none says from old data that a lease is lost.
    leave(keys, identity)
    if not holder then advance(keys, keep) end
    return { 'absent' }
  end
  stay(keys, identity, wait_ttl)
  if not holder then
    local fence = advance(keys, keep, identity, ttl)
    if fence then return { 'held', fence, ttl } end
  end
  local ahead, ticket = rank(keys, identity)
  if not ahead then return { 'absent' } end
  local look = FAR
  if ahead == 0 then
    local _, present = read_lock(keys)
    look = look_ms(keys, present)
  end
  return { 'waiting', ahead, look, ticket }
end

-- @include each
return each(5, 6, renew)
