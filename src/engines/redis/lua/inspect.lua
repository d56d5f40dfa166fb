-- Tells what a lock of any kind looks like, and changes nothing.
-- KEYS: lock, fence, line, alive, places, holders, leases
-- ARGV: most
-- Returns free; or: occupied, type; or: taken, kind and capacity, how many wait, holders, waiters.
-- A holder: identity, ours, permits, ms left, fence, ms held, about. A waiter: identity, permits,
-- about. The identity is empty for what is kept by nobody. Every holder is shown, and the first
-- waiters.
-- @include mutex
-- @include permits

local keys, most = keys_at(1, 7), tonumber(ARGV[1])
local value = redis.pcall('GET', keys.lock)
if type(value) == 'table' then return { 'occupied', redis.call('TYPE', keys.lock).ok } end

local function mutex_holder()
  local grant = read_grant(keys.fence)
  local own = grant.fence > 0 and grant.identity
  local kept = own and value == '~' .. own
  local left = redis.call('PTTL', keys.lock)
  if value ~= own and not kept then return { value, 0, 1, left, 0, 0, '' } end
  if value == own then
    local lease = lease_left(keys, grant)
    kept, left = lease <= 0, lease > 0 and lease or left
  end
  return { kept and '' or value, 1, 1, left, grant.fence, now - grant.since, grant.about }
end

local function holders_of_permits()
  local held, leases = {}, {}
  local names = redis.call('ZRANGEBYSCORE', keys.holders, '(' .. now, '+inf')
  for at, identity in ipairs(names) do
    local from = (at - 1) % SWEEP
    if from == 0 then
      local last = math.min(at + SWEEP - 1, #names)
      leases = redis.call('HMGET', keys.leases, unpack(names, at, last))
    end
    local lease = read_lease(leases[from + 1])
    local left = lease and lease.ends - now
    if lease and left <= 0 then
      identity, left = '', redis.call('ZSCORE', keys.holders, identity) - now
    end
    held[#held + 1] = lease and { identity, 1, lease.permits, left, lease.fence,
      now - lease.since, lease.about }
  end
  return held
end

local shape, held = string.match(value or '', '^#(%S+ %d+) %d+$'), {}
if shape then
  held = holders_of_permits()
elseif value then
  held = { mutex_holder() }
end

local waiting = redis.call('ZCOUNT', keys.alive, '(' .. now, '+inf')
if #held == 0 and waiting == 0 then return { 'free' } end
local line = {}
for _, identity in ipairs(redis.call('ZRANGE', keys.line, 0, most - 1)) do
  local place = read_place(redis.call('HGET', keys.places, identity))
  if place and tonumber(redis.call('ZSCORE', keys.alive, identity) or 0) > now then
    shape = shape or not value and place.shape
    line[#line + 1] = { identity, place.permits, place.about }
  end
end
return { 'taken', shape or 'mutex 1', waiting, held, line }
