-- Leaves a mutex, as holder or as waiter, and grants the next waiter in the same step.
-- KEYS: lock, fence, line, alive, places
-- ARGV: identity, min_hold_ms, keep_ms, lock_delay_ms, force
-- Returns whether the identity was there (1 or 0), and now us unless it held a lock without a line.

local identity, min_hold, force = ARGV[1], tonumber(ARGV[2]), ARGV[5] == '1'
local holder = redis.pcall('GET', KEYS[1])
local plain = force or min_hold == 0 and ARGV[4] == '0'

-- Nothing here depends on the time, and to ask for it would cost as much as the rest.
if holder == identity and plain and redis.call('EXISTS', KEYS[3]) == 0 then
  redis.call('DEL', KEYS[1])
  return { 1 }
end

-- @include mutex

local keys, keep = keys_at(1, 5), tonumber(ARGV[3])

-- Keeps the lock, by nobody, for the rest of the minimum hold.
local function keep_for(rest)
  -- First what takes no memory: where it is full, the lease is cut to the hold at least.
  redis.call('PEXPIRE', keys.lock, rest)
  redis.pcall('SET', keys.lock, '~' .. identity, 'PX', rest)
  -- The front of the line planned its look by the lease, which may end later than this.
  tell_front(keys)
  return { 1, now_us }
end

local function hand_over()
  redis.call('DEL', keys.lock)
  advance(keys, keep)
  return { 1, now_us }
end

if holder == identity then
  if plain then return hand_over() end
  local value, grant = read_lock(keys)
  -- The lease is over; what keeps the lock now is not its holder's to end.
  if value ~= identity then return { 0, now_us } end
  local rest = grant and grant.since + min_hold - now or 0
  if rest > 0 then return keep_for(rest) end
  return hand_over()
end

if force then
  local value, grant = read_lock(keys)
  local kept = grant and value == '~' .. grant.identity
  if kept and (identity == '' or identity == grant.identity) then
    -- It may have come back meanwhile, and would be granted what it gives up.
    leave(keys, identity)
    return hand_over()
  end
end

sweep(keys)
-- Also when there is no line: a replica refuses to write, so that none says from old data that
-- there is nothing to release.
local front = redis.call('ZRANGE', keys.line, 0, 0)[1]
local left = leave(keys, identity)
if not holder then
  advance(keys, keep)
elseif front == identity then
  tell_front(keys)
end
return { left and 1 or 0, now_us }
