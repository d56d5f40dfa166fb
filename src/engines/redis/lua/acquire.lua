-- Takes a mutex that is free, or joins its line.
-- KEYS: lock, fence, line, alive, places
-- ARGV: identity, not_after_ms, ttl_ms, alive_ms, keep_ms, delay_about, terms, least_fence,
--   min_hold_ms
-- alive is how long the lock's key lives with this lease, and keep no less; terms are
-- "<grant ttl> <wait ttl> <1: waits> <ticket, or -> <channel>"; min_hold is left out where it is 0,
-- and least too where both are.
-- Returns one of:
--   fence         held for the ttl, from now; the fence is now in us
--   held, fence, ms left, now us
--   waiting, ahead, look ms, now us, ticket, holder, ours, about
--   absent, now us, holder, ours, about      (the caller does not wait and somebody is there)
--   late, now us                             (the request came after not_after_ms)
--   shape, kind and capacity                 (the name is another lock)
--   occupied, type                           (the lock's key holds no string)
-- @include now

-- Its caller has given up meanwhile: nobody would release what this request takes.
if now > tonumber(ARGV[2]) then return { 'late', now_us } end

-- What a take of a free lock needs, and nothing else: every function costs a script its making, and
-- every call of the server more than all reckoning. Texts are joined, since a number costs as much
-- to write as a call; two fences of 16 digits (until the year 2286) compare as their texts do.
local now_text = time[1] .. string.sub('00000' .. time[2], -6)
local is_free = redis.call('EXISTS', KEYS[1], KEYS[3]) == 0
if is_free and not ARGV[8] then
  local since = string.sub(now_text, 1, -4)
  local record = now_text .. ' ' .. ARGV[1] .. ' ' .. since .. ' 0 ' .. ARGV[6]
  -- The first write of every grant: where memory is full it fails before anything has changed.
  local last = redis.pcall('SET', KEYS[2], record, 'PX', ARGV[5], 'GET')
  if last and last.err then return last end
  if not last or string.find(last, ' ', 1, true) == #now_text + 1 and last < now_text then
    redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[4])
    return now_us
  end
  -- The server's clock was set back, or a larger fence was asked for before: that takes longer.
  redis.call('SET', KEYS[2], last, 'PX', ARGV[5])
end

-- What most waiters need, who join the line of a lease with neither a delay nor a minimum hold.
local grant_ttl, wait_ttl, place = string.match(ARGV[7], '^(%d+) (%d+) 1 %- (%S+)$')
if grant_ttl and not is_free and not ARGV[9] then
  local holder, about =
    string.match(redis.call('GET', KEYS[2]) or '', '^%d+ (%S+) %d+ 0 0 (.*)$')
  local last = redis.call('ZRANGE', KEYS[3], '-1', '-1', 'WITHSCORES')[2]
  -- Whose time ends first tells whether anybody is silent. Without any the key was evicted.
  local heard = not last
    or (redis.call('ZRANGE', KEYS[4], '0', '0', 'WITHSCORES')[2] or 0) - now > 0
  if holder and holder ~= ARGV[1] and redis.pcall('GET', KEYS[1]) == holder
    and heard and (not last or tonumber(last) < now_us)
    and redis.call('ZADD', KEYS[3], 'NX', now_text, ARGV[1]) == 1
  then
    local delay, own_about = string.match(ARGV[6], '^(%d+)( .*)$')
    place = 'mutex 1 1 ' .. grant_ttl .. ' ' .. delay .. ' 0 ' .. place .. own_about
    redis.call('HSET', KEYS[5], ARGV[1], place)
    redis.call('ZADD', KEYS[4], now + wait_ttl, ARGV[1])
    -- LINE_TTL, told anew by the first who joins in each quarter of it. The last ticket says
    -- whether somebody has.
    if not last or math.floor(last / 15e6) ~= math.floor(now_us / 15e6) then
      for at = 3, 5 do redis.call('PEXPIRE', KEYS[at], '60000') end
    end
    if last then
      local ahead = redis.call('ZRANK', KEYS[3], ARGV[1])
      return { 'waiting', ahead, 60000, now_us, now_us, holder, 1, about }
    end
    local left = redis.call('PTTL', KEYS[1])
    -- Without a lease it is to be looked at as a holder that tells nothing.
    return { 'waiting', 0, left < 0 and 250 or left + 1, now_us, now_us, holder, 1, about }
  end
end

-- @include mutex

local identity, ttl, keep = ARGV[1], tonumber(ARGV[3]), tonumber(ARGV[5])
local least, min_hold = tonumber(ARGV[8] or 0), tonumber(ARGV[9] or 0)
local delay, about = string.match(ARGV[6], '^(%d+) (.*)$')
delay = tonumber(delay)
local grant_ttl, wait_ttl, waits, ticket, channel =
  string.match(ARGV[7], '^(%d+) (%d+) (%d) (%S+) (%S+)$')
local wait = waits == '1'
if ticket == '-' then ticket = '' end

local function take()
  local fence, alive = draw(KEYS[2], identity, ttl, delay, min_hold, about, keep, least)
  if not fence then return alive end
  redis.call('SET', KEYS[1], identity, 'PX', alive)
  return { 'held', fence, ttl, now_us }
end

if is_free then return take() end

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
if wait or ticket ~= '' then
  sweep(keys)
  local record = { SHAPE, 1, grant_ttl, delay, min_hold, channel, about }
  join(keys, identity, ticket, table.concat(record, ' '))
end
if wait then stay(keys, identity, wait_ttl) end

if not holder then
  local fence = advance(keys, keep, identity, ttl)
  if fence then return { 'held', fence, ttl, now_us } end
  -- Everybody in the line was dead.
  if redis.call('EXISTS', keys.lock, keys.line) == 0 then return take() end
  holder, grant = read_lock(keys)
end

-- Who would not wait any more leaves. It is also what a replica refuses, so that none answers from
-- old data that a lock is taken.
if not wait then leave(keys, identity) end

local ours = grant and 1 or 0
local shown = grant and grant.about or ''
if not wait then return { 'absent', now_us, holder or '', ours, shown } end
local ahead, own_ticket = rank(keys, identity)
local look = (ahead or 0) == 0 and look_ms(keys, grant) or FAR
return { 'waiting', ahead or 0, look, now_us, own_ticket or '0', holder or '', ours, shown }
