// Written by scripts/embed-lua.mjs from lua/*.lua: edit those and run `npm run build`.
import type { Script } from './script.ts'

/** Takes a mutex that is free, or joins its line. */
export const acquire: Script = {
  name: 'acquire',
  sha1: '151426d88984a7d510c8f3953715214db27fd6a5',
  keys: ['lock', 'fence', 'line', 'alive', 'places'],
  args: ['identity', 'ttl_ms', 'grant_ttl_ms', 'wait_ttl_ms', 'lock_delay_ms', 'min_hold_ms', 'keep_ms', 'not_after_ms', 'wait', 'ticket', 'channel', 'about'],
  source: `local time = redis.call('TIME')
local now_us = time[1] * 1000000 + time[2]
local now = math.floor(now_us / 1000)
local function life(ttl, delay, min_hold)
  return math.max(ttl + delay, min_hold)
end
local function draw(key, identity, ttl, delay, min_hold, about, keep)
  local last = string.match(redis.call('GET', key) or '', '^%d+')
  local fence = math.max((last or 0) + 1, now_us)
  local over = min_hold > 0 and now + ttl or 0
  local grant = string.format('%.0f %s %.0f %.0f %.0f ', fence, identity, now, over, delay) .. about
  local done = redis.pcall('SET', key, grant, 'PX', math.max(keep, life(ttl, delay, min_hold)))
  if done.err then return nil, done end
  return fence
end
local identity, about = ARGV[1], ARGV[12]
local ttl, delay, min_hold = tonumber(ARGV[2]), tonumber(ARGV[5]), tonumber(ARGV[6])
local keep, wait = tonumber(ARGV[7]), ARGV[9] == '1'
if now > tonumber(ARGV[8]) then return { 'late', now_us } end
local function take()
  local fence, failure = draw(KEYS[2], identity, ttl, delay, min_hold, about, keep)
  if not fence then return failure end
  redis.call('SET', KEYS[1], identity, 'PX', life(ttl, delay, min_hold))
  return { 'held', fence, ttl, now_us }
end
if redis.call('EXISTS', KEYS[1], KEYS[3]) == 0 then return take() end
local LINE_TTL = 60000
local FOREIGN_LOOK = 250
local FAR = 60000
local function keys_at(at)
  local first = 5 * at - 4
  return {
    lock = KEYS[first], fence = KEYS[first + 1], line = KEYS[first + 2],
    alive = KEYS[first + 3], places = KEYS[first + 4],
  }
end
local function read_grant(key)
  local text = redis.call('GET', key) or ''
  local fence, identity, since, over, delay, about =
    string.match(text, '^(%d+) (%S+) (%d+) (%d+) (%d+) (.*)$')
  return {
    fence = tonumber(fence) or 0, identity = identity or '', since = tonumber(since) or 0,
    over = tonumber(over) or 0, delay = tonumber(delay) or 0, about = about or '',
  }
end
local function lease_left(keys, grant)
  if grant.over > 0 then return grant.over - now end
  return redis.call('PTTL', keys.lock) - grant.delay
end
local function read_lock(keys)
  local value = redis.pcall('GET', keys.lock)
  if not value then return value, nil end
  if type(value) == 'table' then
    if not string.find(value.err, 'WRONGTYPE', 1, true) then redis.call('GET', keys.lock) end
    return value, nil
  end
  local grant = read_grant(keys.fence)
  if grant.fence == 0 then return value, nil end
  if value == grant.identity and lease_left(keys, grant) <= 0 then
    value = '~' .. value
    redis.pcall('SET', keys.lock, value, 'KEEPTTL')
  end
  if value == grant.identity or value == '~' .. grant.identity then return value, grant end
  return value, nil
end
local function prolong(keys, keep, grant, ttl, delay, min_hold)
  local left = lease_left(keys, grant)
  if left >= ttl then return left end
  local alive = math.max(ttl + delay, grant.since + min_hold - now)
  redis.call('PEXPIRE', keys.lock, alive)
  local kept = math.max(keep, alive)
  if grant.over > 0 then
    local text = redis.call('GET', keys.fence)
    local head, delay_about = string.match(text, '^(%d+ %S+ %d+ )%d+( .*)$')
    redis.call('SET', keys.fence, head .. string.format('%.0f', now + ttl) .. delay_about, 'PX', kept)
  else
    redis.call('PEXPIRE', keys.fence, kept)
  end
  return ttl
end
local function publish(channel, message)
  local sharded = string.find(channel, '{', 1, true)
  local heard = redis.pcall(sharded and 'SPUBLISH' or 'PUBLISH', channel, message)
  return type(heard) == 'number' and heard or 0
end
local function tell_front(keys)
  local front = redis.call('ZRANGE', keys.line, 0, 0)[1]
  local record = front and redis.call('HGET', keys.places, front)
  local channel = record and string.match(record, '^%d+ %d+ %d+ (%S+) ')
  if channel then publish(channel, front) end
end
local function leave(keys, identity)
  redis.call('HDEL', keys.places, identity)
  redis.call('ZREM', keys.alive, identity)
  return redis.call('ZREM', keys.line, identity) == 1
end
local function stay(keys, identity, wait_ttl)
  redis.call('PEXPIRE', keys.line, LINE_TTL)
  redis.call('ZADD', keys.alive, now + wait_ttl, identity)
  redis.call('PEXPIRE', keys.alive, LINE_TTL)
  redis.call('PEXPIRE', keys.places, LINE_TTL)
end
local swept = {}
local function sweep(keys)
  if swept[keys.line] then return end
  swept[keys.line] = true
  local silent = redis.call('ZRANGEBYSCORE', keys.alive, '-inf', now)
  if #silent == 0 then return end
  local front = redis.call('ZRANGE', keys.line, 0, 0)[1]
  for _, identity in ipairs(silent) do leave(keys, identity) end
  if redis.call('ZRANGE', keys.line, 0, 0)[1] ~= front then tell_front(keys) end
end
local function advance(keys, keep, caller, caller_ttl)
  sweep(keys)
  local deaf = {}
  while true do
    local front = redis.call('ZRANGE', keys.line, 0, 0)[1]
    if not front then return nil end
    local record = redis.call('HGET', keys.places, front) or ''
    local ttl, delay, min_hold, channel, about =
      string.match(record, '^(%d+) (%d+) (%d+) (%S+) (.*)$')
    local is_caller = front == caller
    if channel and (is_caller or not deaf[channel]) then
      ttl, delay, min_hold = tonumber(ttl), tonumber(delay), tonumber(min_hold)
      if is_caller then ttl = caller_ttl end
      local fence = draw(keys.fence, front, ttl, delay, min_hold, about, keep)
      if not fence then return nil end
      local message = string.format('%s %.0f %.0f %.0f', front, fence, now_us, ttl)
      if is_caller or publish(channel, message) > 0 then
        redis.call('SET', keys.lock, front, 'PX', life(ttl, delay, min_hold))
        leave(keys, front)
        return is_caller and fence or nil
      end
      deaf[channel] = true
    end
    leave(keys, front)
  end
end
local function look_ms(keys, ours)
  local left = redis.call('PTTL', keys.lock)
  if left < 0 then return FOREIGN_LOOK end
  return ours and left + 1 or math.min(left + 1, FOREIGN_LOOK)
end
local keys = keys_at(1)
local holder, grant = read_lock(keys)
if type(holder) == 'table' then return { 'occupied', redis.call('TYPE', keys.lock).ok } end
if holder == identity then
  if not grant then
    local fence, failure = draw(keys.fence, identity, ttl, delay, min_hold, about, keep)
    if not fence then return failure end
    grant = read_grant(keys.fence)
  end
  return { 'held', grant.fence, prolong(keys, keep, grant, ttl, delay, min_hold), now_us }
end
if wait then
  sweep(keys)
  if not redis.call('ZSCORE', keys.line, identity) then
    local ticket = ARGV[10]
    if ticket == '' then
      local last = redis.call('ZRANGE', keys.line, -1, -1, 'WITHSCORES')[2]
      ticket = string.format('%.0f', math.max((last or 0) + 1, now_us))
    end
    redis.call('ZADD', keys.line, ticket, identity)
    local record = string.format('%s %s %s %s ', ARGV[3], ARGV[5], ARGV[6], ARGV[11])
    redis.call('HSET', keys.places, identity, record .. about)
  end
  stay(keys, identity, ARGV[4])
else
  leave(keys, identity)
end
if not holder then
  local fence = advance(keys, keep, identity, ttl)
  if fence then return { 'held', fence, ttl, now_us } end
  if redis.call('EXISTS', keys.lock, keys.line) == 0 then return take() end
  holder, grant = read_lock(keys)
end
local ours = grant and 1 or 0
local shown = grant and grant.about or ''
if not wait then return { 'absent', now_us, holder or '', ours, shown } end
local ahead = redis.call('ZRANK', keys.line, identity) or 0
local look = ahead == 0 and look_ms(keys, grant) or FAR
local ticket = string.format('%.0f', redis.call('ZSCORE', keys.line, identity) or 0)
return { 'waiting', ahead, look, now_us, ticket, holder or '', ours, shown }
`,
}

/** Tells what a mutex looks like, and changes nothing. */
export const inspect: Script = {
  name: 'inspect',
  sha1: '2c8ea28bf07bae3409702ba19bdbfc931c42699c',
  keys: ['lock', 'fence', 'line', 'alive', 'places'],
  args: ['most'],
  source: `local time = redis.call('TIME')
local now_us = time[1] * 1000000 + time[2]
local now = math.floor(now_us / 1000)
local function life(ttl, delay, min_hold)
  return math.max(ttl + delay, min_hold)
end
local function draw(key, identity, ttl, delay, min_hold, about, keep)
  local last = string.match(redis.call('GET', key) or '', '^%d+')
  local fence = math.max((last or 0) + 1, now_us)
  local over = min_hold > 0 and now + ttl or 0
  local grant = string.format('%.0f %s %.0f %.0f %.0f ', fence, identity, now, over, delay) .. about
  local done = redis.pcall('SET', key, grant, 'PX', math.max(keep, life(ttl, delay, min_hold)))
  if done.err then return nil, done end
  return fence
end
local LINE_TTL = 60000
local FOREIGN_LOOK = 250
local FAR = 60000
local function keys_at(at)
  local first = 5 * at - 4
  return {
    lock = KEYS[first], fence = KEYS[first + 1], line = KEYS[first + 2],
    alive = KEYS[first + 3], places = KEYS[first + 4],
  }
end
local function read_grant(key)
  local text = redis.call('GET', key) or ''
  local fence, identity, since, over, delay, about =
    string.match(text, '^(%d+) (%S+) (%d+) (%d+) (%d+) (.*)$')
  return {
    fence = tonumber(fence) or 0, identity = identity or '', since = tonumber(since) or 0,
    over = tonumber(over) or 0, delay = tonumber(delay) or 0, about = about or '',
  }
end
local function lease_left(keys, grant)
  if grant.over > 0 then return grant.over - now end
  return redis.call('PTTL', keys.lock) - grant.delay
end
local function read_lock(keys)
  local value = redis.pcall('GET', keys.lock)
  if not value then return value, nil end
  if type(value) == 'table' then
    if not string.find(value.err, 'WRONGTYPE', 1, true) then redis.call('GET', keys.lock) end
    return value, nil
  end
  local grant = read_grant(keys.fence)
  if grant.fence == 0 then return value, nil end
  if value == grant.identity and lease_left(keys, grant) <= 0 then
    value = '~' .. value
    redis.pcall('SET', keys.lock, value, 'KEEPTTL')
  end
  if value == grant.identity or value == '~' .. grant.identity then return value, grant end
  return value, nil
end
local function prolong(keys, keep, grant, ttl, delay, min_hold)
  local left = lease_left(keys, grant)
  if left >= ttl then return left end
  local alive = math.max(ttl + delay, grant.since + min_hold - now)
  redis.call('PEXPIRE', keys.lock, alive)
  local kept = math.max(keep, alive)
  if grant.over > 0 then
    local text = redis.call('GET', keys.fence)
    local head, delay_about = string.match(text, '^(%d+ %S+ %d+ )%d+( .*)$')
    redis.call('SET', keys.fence, head .. string.format('%.0f', now + ttl) .. delay_about, 'PX', kept)
  else
    redis.call('PEXPIRE', keys.fence, kept)
  end
  return ttl
end
local function publish(channel, message)
  local sharded = string.find(channel, '{', 1, true)
  local heard = redis.pcall(sharded and 'SPUBLISH' or 'PUBLISH', channel, message)
  return type(heard) == 'number' and heard or 0
end
local function tell_front(keys)
  local front = redis.call('ZRANGE', keys.line, 0, 0)[1]
  local record = front and redis.call('HGET', keys.places, front)
  local channel = record and string.match(record, '^%d+ %d+ %d+ (%S+) ')
  if channel then publish(channel, front) end
end
local function leave(keys, identity)
  redis.call('HDEL', keys.places, identity)
  redis.call('ZREM', keys.alive, identity)
  return redis.call('ZREM', keys.line, identity) == 1
end
local function stay(keys, identity, wait_ttl)
  redis.call('PEXPIRE', keys.line, LINE_TTL)
  redis.call('ZADD', keys.alive, now + wait_ttl, identity)
  redis.call('PEXPIRE', keys.alive, LINE_TTL)
  redis.call('PEXPIRE', keys.places, LINE_TTL)
end
local swept = {}
local function sweep(keys)
  if swept[keys.line] then return end
  swept[keys.line] = true
  local silent = redis.call('ZRANGEBYSCORE', keys.alive, '-inf', now)
  if #silent == 0 then return end
  local front = redis.call('ZRANGE', keys.line, 0, 0)[1]
  for _, identity in ipairs(silent) do leave(keys, identity) end
  if redis.call('ZRANGE', keys.line, 0, 0)[1] ~= front then tell_front(keys) end
end
local function advance(keys, keep, caller, caller_ttl)
  sweep(keys)
  local deaf = {}
  while true do
    local front = redis.call('ZRANGE', keys.line, 0, 0)[1]
    if not front then return nil end
    local record = redis.call('HGET', keys.places, front) or ''
    local ttl, delay, min_hold, channel, about =
      string.match(record, '^(%d+) (%d+) (%d+) (%S+) (.*)$')
    local is_caller = front == caller
    if channel and (is_caller or not deaf[channel]) then
      ttl, delay, min_hold = tonumber(ttl), tonumber(delay), tonumber(min_hold)
      if is_caller then ttl = caller_ttl end
      local fence = draw(keys.fence, front, ttl, delay, min_hold, about, keep)
      if not fence then return nil end
      local message = string.format('%s %.0f %.0f %.0f', front, fence, now_us, ttl)
      if is_caller or publish(channel, message) > 0 then
        redis.call('SET', keys.lock, front, 'PX', life(ttl, delay, min_hold))
        leave(keys, front)
        return is_caller and fence or nil
      end
      deaf[channel] = true
    end
    leave(keys, front)
  end
end
local function look_ms(keys, ours)
  local left = redis.call('PTTL', keys.lock)
  if left < 0 then return FOREIGN_LOOK end
  return ours and left + 1 or math.min(left + 1, FOREIGN_LOOK)
end
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
`,
}

/** Leaves a mutex, as holder or as waiter, and grants the next waiter in the same step. */
export const release: Script = {
  name: 'release',
  sha1: '08ccbed0645526da5a4d88d2c71ad1e6e379630e',
  keys: ['lock', 'fence', 'line', 'alive', 'places'],
  args: ['identity', 'min_hold_ms', 'keep_ms', 'lock_delay_ms'],
  source: `local time = redis.call('TIME')
local now_us = time[1] * 1000000 + time[2]
local now = math.floor(now_us / 1000)
local identity, min_hold, keep = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local holder = redis.pcall('GET', KEYS[1])
local plain = min_hold == 0 and ARGV[4] == '0'
if holder == identity and plain and redis.call('EXISTS', KEYS[3]) == 0 then
  redis.call('DEL', KEYS[1])
  return { 1, now_us }
end
local function life(ttl, delay, min_hold)
  return math.max(ttl + delay, min_hold)
end
local function draw(key, identity, ttl, delay, min_hold, about, keep)
  local last = string.match(redis.call('GET', key) or '', '^%d+')
  local fence = math.max((last or 0) + 1, now_us)
  local over = min_hold > 0 and now + ttl or 0
  local grant = string.format('%.0f %s %.0f %.0f %.0f ', fence, identity, now, over, delay) .. about
  local done = redis.pcall('SET', key, grant, 'PX', math.max(keep, life(ttl, delay, min_hold)))
  if done.err then return nil, done end
  return fence
end
local LINE_TTL = 60000
local FOREIGN_LOOK = 250
local FAR = 60000
local function keys_at(at)
  local first = 5 * at - 4
  return {
    lock = KEYS[first], fence = KEYS[first + 1], line = KEYS[first + 2],
    alive = KEYS[first + 3], places = KEYS[first + 4],
  }
end
local function read_grant(key)
  local text = redis.call('GET', key) or ''
  local fence, identity, since, over, delay, about =
    string.match(text, '^(%d+) (%S+) (%d+) (%d+) (%d+) (.*)$')
  return {
    fence = tonumber(fence) or 0, identity = identity or '', since = tonumber(since) or 0,
    over = tonumber(over) or 0, delay = tonumber(delay) or 0, about = about or '',
  }
end
local function lease_left(keys, grant)
  if grant.over > 0 then return grant.over - now end
  return redis.call('PTTL', keys.lock) - grant.delay
end
local function read_lock(keys)
  local value = redis.pcall('GET', keys.lock)
  if not value then return value, nil end
  if type(value) == 'table' then
    if not string.find(value.err, 'WRONGTYPE', 1, true) then redis.call('GET', keys.lock) end
    return value, nil
  end
  local grant = read_grant(keys.fence)
  if grant.fence == 0 then return value, nil end
  if value == grant.identity and lease_left(keys, grant) <= 0 then
    value = '~' .. value
    redis.pcall('SET', keys.lock, value, 'KEEPTTL')
  end
  if value == grant.identity or value == '~' .. grant.identity then return value, grant end
  return value, nil
end
local function prolong(keys, keep, grant, ttl, delay, min_hold)
  local left = lease_left(keys, grant)
  if left >= ttl then return left end
  local alive = math.max(ttl + delay, grant.since + min_hold - now)
  redis.call('PEXPIRE', keys.lock, alive)
  local kept = math.max(keep, alive)
  if grant.over > 0 then
    local text = redis.call('GET', keys.fence)
    local head, delay_about = string.match(text, '^(%d+ %S+ %d+ )%d+( .*)$')
    redis.call('SET', keys.fence, head .. string.format('%.0f', now + ttl) .. delay_about, 'PX', kept)
  else
    redis.call('PEXPIRE', keys.fence, kept)
  end
  return ttl
end
local function publish(channel, message)
  local sharded = string.find(channel, '{', 1, true)
  local heard = redis.pcall(sharded and 'SPUBLISH' or 'PUBLISH', channel, message)
  return type(heard) == 'number' and heard or 0
end
local function tell_front(keys)
  local front = redis.call('ZRANGE', keys.line, 0, 0)[1]
  local record = front and redis.call('HGET', keys.places, front)
  local channel = record and string.match(record, '^%d+ %d+ %d+ (%S+) ')
  if channel then publish(channel, front) end
end
local function leave(keys, identity)
  redis.call('HDEL', keys.places, identity)
  redis.call('ZREM', keys.alive, identity)
  return redis.call('ZREM', keys.line, identity) == 1
end
local function stay(keys, identity, wait_ttl)
  redis.call('PEXPIRE', keys.line, LINE_TTL)
  redis.call('ZADD', keys.alive, now + wait_ttl, identity)
  redis.call('PEXPIRE', keys.alive, LINE_TTL)
  redis.call('PEXPIRE', keys.places, LINE_TTL)
end
local swept = {}
local function sweep(keys)
  if swept[keys.line] then return end
  swept[keys.line] = true
  local silent = redis.call('ZRANGEBYSCORE', keys.alive, '-inf', now)
  if #silent == 0 then return end
  local front = redis.call('ZRANGE', keys.line, 0, 0)[1]
  for _, identity in ipairs(silent) do leave(keys, identity) end
  if redis.call('ZRANGE', keys.line, 0, 0)[1] ~= front then tell_front(keys) end
end
local function advance(keys, keep, caller, caller_ttl)
  sweep(keys)
  local deaf = {}
  while true do
    local front = redis.call('ZRANGE', keys.line, 0, 0)[1]
    if not front then return nil end
    local record = redis.call('HGET', keys.places, front) or ''
    local ttl, delay, min_hold, channel, about =
      string.match(record, '^(%d+) (%d+) (%d+) (%S+) (.*)$')
    local is_caller = front == caller
    if channel and (is_caller or not deaf[channel]) then
      ttl, delay, min_hold = tonumber(ttl), tonumber(delay), tonumber(min_hold)
      if is_caller then ttl = caller_ttl end
      local fence = draw(keys.fence, front, ttl, delay, min_hold, about, keep)
      if not fence then return nil end
      local message = string.format('%s %.0f %.0f %.0f', front, fence, now_us, ttl)
      if is_caller or publish(channel, message) > 0 then
        redis.call('SET', keys.lock, front, 'PX', life(ttl, delay, min_hold))
        leave(keys, front)
        return is_caller and fence or nil
      end
      deaf[channel] = true
    end
    leave(keys, front)
  end
end
local function look_ms(keys, ours)
  local left = redis.call('PTTL', keys.lock)
  if left < 0 then return FOREIGN_LOOK end
  return ours and left + 1 or math.min(left + 1, FOREIGN_LOOK)
end
local keys = keys_at(1)
local function keep_for(rest)
  redis.call('PEXPIRE', keys.lock, rest)
  redis.pcall('SET', keys.lock, '~' .. identity, 'PX', rest)
  tell_front(keys)
  return { 1, now_us }
end
if holder == identity then
  if not plain then
    local value, grant = read_lock(keys)
    if value ~= identity then return { 0, now_us } end
    local rest = grant and grant.since + min_hold - now or 0
    if rest > 0 then return keep_for(rest) end
  end
  redis.call('DEL', keys.lock)
  advance(keys, keep)
  return { 1, now_us }
end
sweep(keys)
local front = redis.call('ZRANGE', keys.line, 0, 0)[1]
local left = leave(keys, identity)
if not holder then
  advance(keys, keep)
elseif front == identity then
  tell_front(keys)
end
return { left and 1 or 0, now_us }
`,
}

/** Keeps many places alive, held and waiting ones, and says where each stands. */
export const renew: Script = {
  name: 'renew',
  sha1: '584e15ab04c7369c910ace312e847084f82f0ff3',
  keys: ['lock', 'fence', 'line', 'alive', 'places...'],
  args: ['keep_ms', 'identity', 'ttl_ms', 'wait_ttl_ms', 'lock_delay_ms', 'min_hold_ms...'],
  source: `local time = redis.call('TIME')
local now_us = time[1] * 1000000 + time[2]
local now = math.floor(now_us / 1000)
local function life(ttl, delay, min_hold)
  return math.max(ttl + delay, min_hold)
end
local function draw(key, identity, ttl, delay, min_hold, about, keep)
  local last = string.match(redis.call('GET', key) or '', '^%d+')
  local fence = math.max((last or 0) + 1, now_us)
  local over = min_hold > 0 and now + ttl or 0
  local grant = string.format('%.0f %s %.0f %.0f %.0f ', fence, identity, now, over, delay) .. about
  local done = redis.pcall('SET', key, grant, 'PX', math.max(keep, life(ttl, delay, min_hold)))
  if done.err then return nil, done end
  return fence
end
local LINE_TTL = 60000
local FOREIGN_LOOK = 250
local FAR = 60000
local function keys_at(at)
  local first = 5 * at - 4
  return {
    lock = KEYS[first], fence = KEYS[first + 1], line = KEYS[first + 2],
    alive = KEYS[first + 3], places = KEYS[first + 4],
  }
end
local function read_grant(key)
  local text = redis.call('GET', key) or ''
  local fence, identity, since, over, delay, about =
    string.match(text, '^(%d+) (%S+) (%d+) (%d+) (%d+) (.*)$')
  return {
    fence = tonumber(fence) or 0, identity = identity or '', since = tonumber(since) or 0,
    over = tonumber(over) or 0, delay = tonumber(delay) or 0, about = about or '',
  }
end
local function lease_left(keys, grant)
  if grant.over > 0 then return grant.over - now end
  return redis.call('PTTL', keys.lock) - grant.delay
end
local function read_lock(keys)
  local value = redis.pcall('GET', keys.lock)
  if not value then return value, nil end
  if type(value) == 'table' then
    if not string.find(value.err, 'WRONGTYPE', 1, true) then redis.call('GET', keys.lock) end
    return value, nil
  end
  local grant = read_grant(keys.fence)
  if grant.fence == 0 then return value, nil end
  if value == grant.identity and lease_left(keys, grant) <= 0 then
    value = '~' .. value
    redis.pcall('SET', keys.lock, value, 'KEEPTTL')
  end
  if value == grant.identity or value == '~' .. grant.identity then return value, grant end
  return value, nil
end
local function prolong(keys, keep, grant, ttl, delay, min_hold)
  local left = lease_left(keys, grant)
  if left >= ttl then return left end
  local alive = math.max(ttl + delay, grant.since + min_hold - now)
  redis.call('PEXPIRE', keys.lock, alive)
  local kept = math.max(keep, alive)
  if grant.over > 0 then
    local text = redis.call('GET', keys.fence)
    local head, delay_about = string.match(text, '^(%d+ %S+ %d+ )%d+( .*)$')
    redis.call('SET', keys.fence, head .. string.format('%.0f', now + ttl) .. delay_about, 'PX', kept)
  else
    redis.call('PEXPIRE', keys.fence, kept)
  end
  return ttl
end
local function publish(channel, message)
  local sharded = string.find(channel, '{', 1, true)
  local heard = redis.pcall(sharded and 'SPUBLISH' or 'PUBLISH', channel, message)
  return type(heard) == 'number' and heard or 0
end
local function tell_front(keys)
  local front = redis.call('ZRANGE', keys.line, 0, 0)[1]
  local record = front and redis.call('HGET', keys.places, front)
  local channel = record and string.match(record, '^%d+ %d+ %d+ (%S+) ')
  if channel then publish(channel, front) end
end
local function leave(keys, identity)
  redis.call('HDEL', keys.places, identity)
  redis.call('ZREM', keys.alive, identity)
  return redis.call('ZREM', keys.line, identity) == 1
end
local function stay(keys, identity, wait_ttl)
  redis.call('PEXPIRE', keys.line, LINE_TTL)
  redis.call('ZADD', keys.alive, now + wait_ttl, identity)
  redis.call('PEXPIRE', keys.alive, LINE_TTL)
  redis.call('PEXPIRE', keys.places, LINE_TTL)
end
local swept = {}
local function sweep(keys)
  if swept[keys.line] then return end
  swept[keys.line] = true
  local silent = redis.call('ZRANGEBYSCORE', keys.alive, '-inf', now)
  if #silent == 0 then return end
  local front = redis.call('ZRANGE', keys.line, 0, 0)[1]
  for _, identity in ipairs(silent) do leave(keys, identity) end
  if redis.call('ZRANGE', keys.line, 0, 0)[1] ~= front then tell_front(keys) end
end
local function advance(keys, keep, caller, caller_ttl)
  sweep(keys)
  local deaf = {}
  while true do
    local front = redis.call('ZRANGE', keys.line, 0, 0)[1]
    if not front then return nil end
    local record = redis.call('HGET', keys.places, front) or ''
    local ttl, delay, min_hold, channel, about =
      string.match(record, '^(%d+) (%d+) (%d+) (%S+) (.*)$')
    local is_caller = front == caller
    if channel and (is_caller or not deaf[channel]) then
      ttl, delay, min_hold = tonumber(ttl), tonumber(delay), tonumber(min_hold)
      if is_caller then ttl = caller_ttl end
      local fence = draw(keys.fence, front, ttl, delay, min_hold, about, keep)
      if not fence then return nil end
      local message = string.format('%s %.0f %.0f %.0f', front, fence, now_us, ttl)
      if is_caller or publish(channel, message) > 0 then
        redis.call('SET', keys.lock, front, 'PX', life(ttl, delay, min_hold))
        leave(keys, front)
        return is_caller and fence or nil
      end
      deaf[channel] = true
    end
    leave(keys, front)
  end
end
local function look_ms(keys, ours)
  local left = redis.call('PTTL', keys.lock)
  if left < 0 then return FOREIGN_LOOK end
  return ours and left + 1 or math.min(left + 1, FOREIGN_LOOK)
end
local keep = tonumber(ARGV[1])
local function renew(keys, identity, ttl, wait_ttl, delay, min_hold)
  local holder, grant = read_lock(keys)
  if type(holder) == 'table' then return { 'absent' } end
  if holder == identity then
    if not grant then
      local fence, failure = draw(keys.fence, identity, ttl, delay, min_hold, '', keep)
      if not fence then return { 'unknown', failure.err } end
      grant = read_grant(keys.fence)
    end
    return { 'held', grant.fence, prolong(keys, keep, grant, ttl, delay, min_hold) }
  end
  sweep(keys)
  if not redis.call('ZSCORE', keys.alive, identity) then
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
    for _, word in ipairs({ 'READONLY', 'MISCONF', 'NOREPLICAS', 'MASTERDOWN', 'NOPERM' }) do
      if string.find(why, word, 1, true) then error(standing) end
    end
    standing = { 'unknown', why }
  end
  answer[i + 1] = standing
end
return answer
`,
}
