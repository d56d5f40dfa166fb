-- Keeps many places alive at locks with permits, and says where each stands.
-- KEYS: lock, fence, line, alive, places, holders, leases...
-- ARGV: keep_ms, identity, ttl_ms, wait_ttl_ms, fence, shape...
-- Returns what renew does.
-- @include permits

local keep = tonumber(ARGV[1])

local function standing(lock, identity, ttl, wait_ttl, fence)
  local keys = lock.keys
  local lease = find(lock, identity)
  if lease and lease.ends > now then
    local left = prolong(lock, identity, lease, ttl, keep, fence)
    admit(lock, keep)
    return { 'held', lease.fence, left }
  end
  local here = redis.call('ZSCORE', keys.line, identity)
  if here then
    stay(keys, identity, wait_ttl)
    local granted = admit(lock, keep, identity, ttl)
    if granted then return { 'held', granted, ttl } end
  else
    -- A replica refuses to write, so that none says from old data that a lease is lost.
    leave(keys, identity)
    admit(lock, keep)
  end
  local ahead, ticket = rank(keys, identity)
  if not ahead then return { 'absent' } end
  return { 'waiting', ahead, ahead == 0 and look_ms(lock) or FAR, ticket }
end

local function renew(at, keys)
  local identity, ttl, wait_ttl = ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local lock = open(keys, ARGV[at + 4])
  if not lock then
    leave(keys, identity)
    return { 'absent' }
  end
  local answer = standing(lock, identity, ttl, wait_ttl, tonumber(ARGV[at + 3]))
  save(lock)
  return answer
end

-- @include each
return each(7, 5, renew)
