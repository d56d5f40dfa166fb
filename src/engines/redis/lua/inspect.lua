-- Tells what a mutex looks like, and changes nothing.
-- KEYS: lock, fence, line, alive, places
-- ARGV: most
-- Returns free; or: occupied, type; or: taken, whether the key exists, holder, ours, ms left,
-- fence, ms held, about, waiters in all, then identity and about of the first waiters. The holder
-- is empty while the lock is free, and while it is kept by nobody.
-- @include line

local keys = keys_at(1)
local value = redis.pcall('GET', keys.lock)
if type(value) == 'table' then return { 'occupied', redis.call('TYPE', keys.lock).ok } end
local waiting = redis.call('ZCOUNT', keys.alive, '(' .. now, '+inf')
if not value and waiting == 0 then return { 'free' } end

local grant = read_grant(keys.fence)
local answer = { 'taken', 0, '', 0, 0, 0, 0, '', waiting }
if value then
  local own = grant.fence > 0 and grant.identity
  local kept = own and value == '~' .. own
  local left = redis.call('PTTL', keys.lock)
  if value == own then
    local lease = lease_left(keys, grant)
    kept, left = lease <= 0, lease > 0 and lease or left
  end
  if kept or value == own then
    local holder, held = kept and '' or value, now - grant.since
    answer = { 'taken', 1, holder, 1, left, grant.fence, held, grant.about, waiting }
  else
    answer = { 'taken', 1, value, 0, left, 0, 0, '', waiting }
  end
end
for _, identity in ipairs(redis.call('ZRANGE', keys.line, 0, tonumber(ARGV[1]) - 1)) do
  if tonumber(redis.call('ZSCORE', keys.alive, identity) or 0) > now then
    local record = redis.call('HGET', keys.places, identity) or ''
    answer[#answer + 1] = identity
    answer[#answer + 1] = string.match(record, '^%d+ %d+ %d+ %S+ (.*)$') or ''
  end
end
return answer
