-- Leaves a mutex, as holder or as waiter, and grants the next waiter in the same step.
-- KEYS: lock, fence, line, alive, places
-- ARGV: identity, keep_ms, force, min_hold_ms, lock_delay_ms
-- The last three are left out where all of them are 0. The channel of the caller may then stand in
-- their place, where waiters of its process may be: a grant to one of them is told by reply.
-- Returns 1 where the identity held the lock and nobody waits; else whether the identity was there
-- (1 or 0), and now us; and the message of a grant that is told by reply.

local identity = ARGV[1]
local holder = redis.pcall('GET', KEYS[1])
-- The channel on which nobody heard of a grant.
local unheard

if holder == identity and not ARGV[4] then
  -- Nothing here depends on the time, and to ask for it would cost as much as the rest.
  if redis.call('EXISTS', KEYS[3]) == 0 then
    redis.call('DEL', KEYS[1])
    return 1
  end
  -- Makes the first waiter the holder, where that takes no more than most waiters need, and returns
  -- the time, and the message where it is to be told by reply. Where it returns nil it has at most
  -- used up a fence.
  local function pass_on()
    local front, second = unpack(redis.call('ZRANGE', KEYS[3], '0', '1'))
    -- With neither a delay nor a minimum hold.
    local ttl, channel, about = string.match(redis.call('HGET', KEYS[5], front) or '',
      '^mutex 1 1 (%d+) 0 0 (%S+) (.*)$')
    if not ttl then return nil end
    local time = redis.call('TIME')
    local now_us = time[1] * 1000000 + time[2]
    local fence = time[1] .. string.sub('00000' .. time[2], -6)
    if tonumber(redis.call('ZSCORE', KEYS[4], front) or 0) * 1000 <= now_us then return nil end
    local grant = ' ' .. front .. ' ' .. string.sub(fence, 1, -4) .. ' 0 0 ' .. about
    local keep = tonumber(ttl) > tonumber(ARGV[2]) and ttl or ARGV[2]
    -- The first write: where memory is full it fails before anything has changed.
    local last = redis.pcall('SET', KEYS[2], fence .. grant, 'PX', keep, 'GET')
    if last and (last.err or (tonumber(string.match(last, '^%d+')) or 0) >= now_us) then
      -- The server's clock was set back, or a larger fence was asked for before.
      if not last.err then redis.call('SET', KEYS[2], last, 'PX', keep) end
      return nil
    end
    local message = front .. ' ' .. fence .. ' ' .. fence .. ' ' .. ttl
    if channel ~= ARGV[3] then
      -- As publish does.
      local send = string.find(channel, '{', 1, true) and 'SPUBLISH' or 'PUBLISH'
      local heard = redis.pcall(send, channel, message)
      if type(heard) ~= 'number' or heard == 0 then
        unheard = channel
        return nil
      end
      message = nil
    end
    redis.call('SET', KEYS[1], front, 'PX', ttl)
    if second then
      redis.call('HDEL', KEYS[5], front)
      redis.call('ZREM', KEYS[4], front)
      redis.call('ZREM', KEYS[3], front)
    else
      redis.call('DEL', KEYS[3], KEYS[4], KEYS[5])
    end
    return now_us, message
  end

  -- Where a key of the line was overwritten with another type, the lock is to be free even so.
  local done, now_us, message = pcall(pass_on)
  if done and now_us then return { 1, now_us, message } end
end

-- @include mutex

local keys, keep = keys_at(1, 5), tonumber(ARGV[2])
local force, min_hold = ARGV[3] == '1', tonumber(ARGV[4] or 0)
local plain = force or min_hold == 0 and (ARGV[5] or '0') == '0'

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
  advance(keys, keep, nil, nil, unheard)
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
