// Written by scripts/embed-lua.mjs from lua/*.lua: edit those and run `npm run build`.
import type { Script } from './script.ts'

/** Takes a mutex that is free, or joins its line. */
export const acquire: Script = {
  name: 'acquire',
  sha1: '364fcaa2186e1215789682dfa4c4d45d3ae647c9',
  keys: ['lock', 'fence', 'line', 'alive', 'places'],
  args: ['identity', 'ttl_ms', 'grant_ttl_ms', 'wait_ttl_ms', 'lock_delay_ms', 'min_hold_ms', 'keep_ms', 'not_after_ms', 'wait', 'ticket', 'channel', 'about'],
  source: `local time = redis.call('TIME')
local now_us = time[1] * 1000000 + time[2]
local now = math.floor(now_us / 1000)
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
local function write_grant(key, grant, keep)
  local head = string.format('%.0f %s %.0f %.0f %.0f ', grant.fence, grant.identity, grant.since,
    grant.over, grant.delay)
  return redis.pcall('SET', key, head .. grant.about, 'PX', keep)
end
local function life(ttl, delay, min_hold)
  return math.max(ttl + delay, min_hold)
end
local function draw(key, identity, ttl, delay, min_hold, about, keep)
  local grant = {
    fence = math.max(read_grant(key).fence + 1, now_us), identity = identity, since = now,
    over = min_hold > 0 and now + ttl or 0, delay = delay, about = about,
  }
  local done = write_grant(key, grant, math.max(keep, life(ttl, delay, min_hold)))
  if done.err then return nil, done end
  return grant
end
local function lease_left(keys, grant)
  if grant.over > 0 then return grant.over - now end
  return redis.call('PTTL', keys.lock) - grant.delay
end
local function read_lock(keys)
  local value = redis.pcall('GET', keys.lock)
  if not value or type(value) == 'table' then return value, nil end
  local grant = read_grant(keys.fence)
  if value == grant.identity and lease_left(keys, grant) <= 0 then
    value = '~' .. value
    redis.call('SET', keys.lock, value, 'KEEPTTL')
  end
  if value == grant.identity or value == '~' .. grant.identity then return value, grant end
  return value, nil
end
local function leave(keys, identity)
  redis.call('HDEL', keys.places, identity)
  redis.call('ZREM', keys.alive, identity)
  return redis.call('ZREM', keys.line, identity) == 1
end
local function stay(keys, identity, wait_ttl)
  redis.call('ZADD', keys.alive, now + wait_ttl, identity)
  redis.call('PEXPIRE', keys.line, LINE_TTL)
  redis.call('PEXPIRE', keys.alive, LINE_TTL)
  redis.call('PEXPIRE', keys.places, LINE_TTL)
end
local swept = {}
local function sweep(keys)
  if swept[keys.line] then return end
  swept[keys.line] = true
  for _, identity in ipairs(redis.call('ZRANGEBYSCORE', keys.alive, '-inf', now)) do
    leave(keys, identity)
  end
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
      local grant = draw(keys.fence, front, ttl, delay, min_hold, about, keep)
      if not grant then return nil end
      local message = string.format('%s %.0f %.0f %.0f', front, grant.fence, now_us, ttl)
      if is_caller or redis.call('PUBLISH', channel, message) > 0 then
        redis.call('SET', keys.lock, front, 'PX', life(ttl, delay, min_hold))
        leave(keys, front)
        return is_caller and grant.fence or nil
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
local identity, about = ARGV[1], ARGV[12]
local ttl, delay, min_hold = tonumber(ARGV[2]), tonumber(ARGV[5]), tonumber(ARGV[6])
local keys, keep, wait = keys_at(1), tonumber(ARGV[7]), ARGV[9] == '1'
if now > tonumber(ARGV[8]) then return { 'late', now_us } end
local function take()
  local grant, failure = draw(keys.fence, identity, ttl, delay, min_hold, about, keep)
  if not grant then return failure end
  redis.call('SET', keys.lock, identity, 'PX', life(ttl, delay, min_hold))
  return { 'held', grant.fence, ttl, now_us }
end
if redis.call('EXISTS', keys.lock, keys.line) == 0 then return take() end
local holder, grant = read_lock(keys)
if type(holder) == 'table' then return { 'occupied', redis.call('TYPE', keys.lock).ok } end
if holder == identity then
  if grant then return { 'held', grant.fence, lease_left(keys, grant), now_us } end
  local drawn, failure = draw(keys.fence, identity, ttl, delay, min_hold, about, keep)
  if not drawn then return failure end
  return { 'held', drawn.fence, redis.call('PTTL', keys.lock) - delay, now_us }
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
  sha1: '2496ecbda9cbc77cd5647f73b180954430989bc7',
  keys: ['lock', 'fence', 'line', 'alive', 'places'],
  args: ['most'],
  source: `local time = redis.call('TIME')
local now_us = time[1] * 1000000 + time[2]
local now = math.floor(now_us / 1000)
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
local function write_grant(key, grant, keep)
  local head = string.format('%.0f %s %.0f %.0f %.0f ', grant.fence, grant.identity, grant.since,
    grant.over, grant.delay)
  return redis.pcall('SET', key, head .. grant.about, 'PX', keep)
end
local function life(ttl, delay, min_hold)
  return math.max(ttl + delay, min_hold)
end
local function draw(key, identity, ttl, delay, min_hold, about, keep)
  local grant = {
    fence = math.max(read_grant(key).fence + 1, now_us), identity = identity, since = now,
    over = min_hold > 0 and now + ttl or 0, delay = delay, about = about,
  }
  local done = write_grant(key, grant, math.max(keep, life(ttl, delay, min_hold)))
  if done.err then return nil, done end
  return grant
end
local function lease_left(keys, grant)
  if grant.over > 0 then return grant.over - now end
  return redis.call('PTTL', keys.lock) - grant.delay
end
local function read_lock(keys)
  local value = redis.pcall('GET', keys.lock)
  if not value or type(value) == 'table' then return value, nil end
  local grant = read_grant(keys.fence)
  if value == grant.identity and lease_left(keys, grant) <= 0 then
    value = '~' .. value
    redis.call('SET', keys.lock, value, 'KEEPTTL')
  end
  if value == grant.identity or value == '~' .. grant.identity then return value, grant end
  return value, nil
end
local function leave(keys, identity)
  redis.call('HDEL', keys.places, identity)
  redis.call('ZREM', keys.alive, identity)
  return redis.call('ZREM', keys.line, identity) == 1
end
local function stay(keys, identity, wait_ttl)
  redis.call('ZADD', keys.alive, now + wait_ttl, identity)
  redis.call('PEXPIRE', keys.line, LINE_TTL)
  redis.call('PEXPIRE', keys.alive, LINE_TTL)
  redis.call('PEXPIRE', keys.places, LINE_TTL)
end
local swept = {}
local function sweep(keys)
  if swept[keys.line] then return end
  swept[keys.line] = true
  for _, identity in ipairs(redis.call('ZRANGEBYSCORE', keys.alive, '-inf', now)) do
    leave(keys, identity)
  end
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
      local grant = draw(keys.fence, front, ttl, delay, min_hold, about, keep)
      if not grant then return nil end
      local message = string.format('%s %.0f %.0f %.0f', front, grant.fence, now_us, ttl)
      if is_caller or redis.call('PUBLISH', channel, message) > 0 then
        redis.call('SET', keys.lock, front, 'PX', life(ttl, delay, min_hold))
        leave(keys, front)
        return is_caller and grant.fence or nil
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
  local kept = value == '~' .. grant.identity
  local left = redis.call('PTTL', keys.lock)
  if value == grant.identity then
    local lease = lease_left(keys, grant)
    kept, left = lease <= 0, lease > 0 and lease or left
  end
  if kept or value == grant.identity then
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
  sha1: '27dd63073a8db6e28bc4dd44a28225f426f505f6',
  keys: ['lock', 'fence', 'line', 'alive', 'places'],
  args: ['identity', 'min_hold_ms', 'keep_ms', 'lock_delay_ms'],
  source: `local time = redis.call('TIME')
local now_us = time[1] * 1000000 + time[2]
local now = math.floor(now_us / 1000)
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
local function write_grant(key, grant, keep)
  local head = string.format('%.0f %s %.0f %.0f %.0f ', grant.fence, grant.identity, grant.since,
    grant.over, grant.delay)
  return redis.pcall('SET', key, head .. grant.about, 'PX', keep)
end
local function life(ttl, delay, min_hold)
  return math.max(ttl + delay, min_hold)
end
local function draw(key, identity, ttl, delay, min_hold, about, keep)
  local grant = {
    fence = math.max(read_grant(key).fence + 1, now_us), identity = identity, since = now,
    over = min_hold > 0 and now + ttl or 0, delay = delay, about = about,
  }
  local done = write_grant(key, grant, math.max(keep, life(ttl, delay, min_hold)))
  if done.err then return nil, done end
  return grant
end
local function lease_left(keys, grant)
  if grant.over > 0 then return grant.over - now end
  return redis.call('PTTL', keys.lock) - grant.delay
end
local function read_lock(keys)
  local value = redis.pcall('GET', keys.lock)
  if not value or type(value) == 'table' then return value, nil end
  local grant = read_grant(keys.fence)
  if value == grant.identity and lease_left(keys, grant) <= 0 then
    value = '~' .. value
    redis.call('SET', keys.lock, value, 'KEEPTTL')
  end
  if value == grant.identity or value == '~' .. grant.identity then return value, grant end
  return value, nil
end
local function leave(keys, identity)
  redis.call('HDEL', keys.places, identity)
  redis.call('ZREM', keys.alive, identity)
  return redis.call('ZREM', keys.line, identity) == 1
end
local function stay(keys, identity, wait_ttl)
  redis.call('ZADD', keys.alive, now + wait_ttl, identity)
  redis.call('PEXPIRE', keys.line, LINE_TTL)
  redis.call('PEXPIRE', keys.alive, LINE_TTL)
  redis.call('PEXPIRE', keys.places, LINE_TTL)
end
local swept = {}
local function sweep(keys)
  if swept[keys.line] then return end
  swept[keys.line] = true
  for _, identity in ipairs(redis.call('ZRANGEBYSCORE', keys.alive, '-inf', now)) do
    leave(keys, identity)
  end
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
      local grant = draw(keys.fence, front, ttl, delay, min_hold, about, keep)
      if not grant then return nil end
      local message = string.format('%s %.0f %.0f %.0f', front, grant.fence, now_us, ttl)
      if is_caller or redis.call('PUBLISH', channel, message) > 0 then
        redis.call('SET', keys.lock, front, 'PX', life(ttl, delay, min_hold))
        leave(keys, front)
        return is_caller and grant.fence or nil
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
local keys, identity = keys_at(1), ARGV[1]
local min_hold, keep, delay = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local holder = redis.pcall('GET', keys.lock)
local function keep_for(rest)
  redis.call('SET', keys.lock, '~' .. identity, 'PX', rest)
  local front = redis.call('ZRANGE', keys.line, 0, 0)[1]
  local record = front and redis.call('HGET', keys.places, front)
  local channel = record and string.match(record, '^%d+ %d+ %d+ (%S+) ')
  if channel then redis.call('PUBLISH', channel, front) end
  return { 1, now_us }
end
if holder == identity then
  if min_hold > 0 or delay > 0 then
    local value, grant = read_lock(keys)
    if value ~= identity then return { 0, now_us } end
    local rest = grant and grant.since + min_hold - now or 0
    if rest > 0 then return keep_for(rest) end
  end
  redis.call('DEL', keys.lock)
  if redis.call('EXISTS', keys.line) == 1 then advance(keys, keep) end
  return { 1, now_us }
end
if redis.call('EXISTS', keys.line) == 0 then return { 0, now_us } end
sweep(keys)
local left = leave(keys, identity)
if not holder then advance(keys, keep) end
return { left and 1 or 0, now_us }
`,
}

/** Keeps many places alive, held and waiting ones, and says where each stands. */
export const renew: Script = {
  name: 'renew',
  sha1: '44fb0ab84a1fc30f93100d0d9e112da0e9d27933',
  keys: ['lock', 'fence', 'line', 'alive', 'places...'],
  args: ['keep_ms', 'identity', 'ttl_ms', 'wait_ttl_ms', 'lock_delay_ms', 'min_hold_ms...'],
  source: `local time = redis.call('TIME')
local now_us = time[1] * 1000000 + time[2]
local now = math.floor(now_us / 1000)
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
local function write_grant(key, grant, keep)
  local head = string.format('%.0f %s %.0f %.0f %.0f ', grant.fence, grant.identity, grant.since,
    grant.over, grant.delay)
  return redis.pcall('SET', key, head .. grant.about, 'PX', keep)
end
local function life(ttl, delay, min_hold)
  return math.max(ttl + delay, min_hold)
end
local function draw(key, identity, ttl, delay, min_hold, about, keep)
  local grant = {
    fence = math.max(read_grant(key).fence + 1, now_us), identity = identity, since = now,
    over = min_hold > 0 and now + ttl or 0, delay = delay, about = about,
  }
  local done = write_grant(key, grant, math.max(keep, life(ttl, delay, min_hold)))
  if done.err then return nil, done end
  return grant
end
local function lease_left(keys, grant)
  if grant.over > 0 then return grant.over - now end
  return redis.call('PTTL', keys.lock) - grant.delay
end
local function read_lock(keys)
  local value = redis.pcall('GET', keys.lock)
  if not value or type(value) == 'table' then return value, nil end
  local grant = read_grant(keys.fence)
  if value == grant.identity and lease_left(keys, grant) <= 0 then
    value = '~' .. value
    redis.call('SET', keys.lock, value, 'KEEPTTL')
  end
  if value == grant.identity or value == '~' .. grant.identity then return value, grant end
  return value, nil
end
local function leave(keys, identity)
  redis.call('HDEL', keys.places, identity)
  redis.call('ZREM', keys.alive, identity)
  return redis.call('ZREM', keys.line, identity) == 1
end
local function stay(keys, identity, wait_ttl)
  redis.call('ZADD', keys.alive, now + wait_ttl, identity)
  redis.call('PEXPIRE', keys.line, LINE_TTL)
  redis.call('PEXPIRE', keys.alive, LINE_TTL)
  redis.call('PEXPIRE', keys.places, LINE_TTL)
end
local swept = {}
local function sweep(keys)
  if swept[keys.line] then return end
  swept[keys.line] = true
  for _, identity in ipairs(redis.call('ZRANGEBYSCORE', keys.alive, '-inf', now)) do
    leave(keys, identity)
  end
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
      local grant = draw(keys.fence, front, ttl, delay, min_hold, about, keep)
      if not grant then return nil end
      local message = string.format('%s %.0f %.0f %.0f', front, grant.fence, now_us, ttl)
      if is_caller or redis.call('PUBLISH', channel, message) > 0 then
        redis.call('SET', keys.lock, front, 'PX', life(ttl, delay, min_hold))
        leave(keys, front)
        return is_caller and grant.fence or nil
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
local function prolong(keys, grant, ttl, delay, min_hold)
  local left = lease_left(keys, grant)
  if left >= ttl then return left end
  local alive = math.max(ttl + delay, grant.since + min_hold - now)
  redis.call('PEXPIRE', keys.lock, alive)
  local kept = math.max(keep, alive)
  if grant.over > 0 then
    grant.over = now + ttl
    write_grant(keys.fence, grant, kept)
  else
    redis.call('PEXPIRE', keys.fence, kept)
  end
  return ttl
end
local function renew(keys, identity, ttl, wait_ttl, delay, min_hold)
  local holder, grant = read_lock(keys)
  if type(holder) == 'table' then return { 'absent' } end
  if holder == identity then
    grant = grant or draw(keys.fence, identity, ttl, delay, min_hold, '', keep)
    if not grant then return { 'unknown' } end
    return { 'held', grant.fence, prolong(keys, grant, ttl, delay, min_hold) }
  end
  sweep(keys)
  if not redis.call('ZSCORE', keys.alive, identity) then return { 'absent' } end
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
  answer[i + 1] = renew(keys_at(i), ARGV[a], tonumber(ARGV[a + 1]), tonumber(ARGV[a + 2]),
    tonumber(ARGV[a + 3]), tonumber(ARGV[a + 4]))
end
return answer
`,
}
