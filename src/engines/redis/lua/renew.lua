-- Keeps many places alive, held and waiting ones, and says where each stands.
-- KEYS: lock, fence, line, alive, places...
-- ARGV: keep_ms, identity, ttl_ms, wait_ttl_ms, lock_delay_ms, min_hold_ms...
-- Returns now us, then for each place one of:
--   held, fence, ms left
--   waiting, ahead, look ms, ticket
--   absent
--   unknown, why
-- @include line

local keep = tonumber(ARGV[1])

local function renew(keys, identity, ttl, wait_ttl, delay, min_hold)
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
    return { 'held', grant.fence, prolong(keys, keep, grant, ttl, delay, min_hold) }
  end
  sweep(keys)
  if not redis.call('ZSCORE', keys.alive, identity) then
    -- A replica refuses to write, so that none says from old data that a lease is lost.
    leave(keys, identity)
    return { 'absent' }
  end
  stay(keys, identity, wait_ttl)
  if not holder then
    local fence = advance(keys, keep, identity, ttl)
    if fence then return { 'held', fence, ttl } end
  end
  local ahead = redis.call('ZRANK', keys.line, identity)
  if not ahead then return { 'absent' } end
  local look = FAR
  if ahead == 0 then
    local _, present = read_lock(keys)
    look = look_ms(keys, present)
  end
  local ticket = string.format('%.0f', redis.call('ZSCORE', keys.line, identity))
  return { 'waiting', ahead, look, ticket }
end

local answer = { now_us }
for i = 1, #KEYS / 5 do
  local a = 5 * i - 3
  local done, standing = pcall(renew, keys_at(i), ARGV[a], tonumber(ARGV[a + 1]),
    tonumber(ARGV[a + 2]), tonumber(ARGV[a + 3]), tonumber(ARGV[a + 4]))
  if not done then
    local why = type(standing) == 'table' and standing.err or tostring(standing)
    -- One lock that cannot be served does not spoil the rest. A server that serves none says so.
    for _, word in ipairs({ 'READONLY', 'MISCONF', 'NOREPLICAS', 'MASTERDOWN', 'NOPERM' }) do
      if string.find(why, word, 1, true) then error(standing) end
    end
    standing = { 'unknown', why }
  end
  answer[i + 1] = standing
end
return answer
