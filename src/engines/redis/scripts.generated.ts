// Written by scripts/embed-lua.mjs from lua/*.lua: edit those and run `npm run build`.
import type { Script } from './script.ts'

const nowLua = `local time = redis.call('TIME')
local now_us = time[1] * 1000000 + time[2]
local now = math.floor(now_us / 1000)
`

const drawLua = `local function draw(key, identity, ttl, delay, min_hold, about, keep, least)
local fence, over, alive = now_us, 0, ttl + delay
if least and least > fence then fence = least end
if min_hold > 0 then
over = now + ttl
if min_hold > alive then alive = min_hold end
end
if alive > keep then keep = alive end
local grant = string.format(' %s %.0f %.0f %.0f ', identity, now, over, delay) .. about
local last = redis.pcall('SET', key, string.format('%.0f', fence) .. grant, 'PX', keep, 'GET')
if not last then return fence, alive end
if last.err then return nil, last end
last = tonumber(string.match(last, '^%d+')) or 0
if last >= fence then
fence = last + 1
redis.call('SET', key, string.format('%.0f', fence) .. grant, 'PX', keep)
end
return fence, alive
end
`

const lineLua = `local LINE_TTL = 60000
local FAR = 60000
local SWEEP = 1000
local function life(ttl, delay, min_hold)
return math.max(ttl + delay, min_hold)
end
local function keys_at(at, stride)
local first = stride * (at - 1) + 1
return {
lock = KEYS[first], fence = KEYS[first + 1], line = KEYS[first + 2],
alive = KEYS[first + 3], places = KEYS[first + 4],
holders = stride > 5 and KEYS[first + 5], leases = stride > 5 and KEYS[first + 6],
}
end
local function read_place(text)
local shape, permits, ttl, delay, min_hold, channel, about =
string.match(text or '', '^(%S+ %d+) (%d+) (%d+) (%d+) (%d+) (%S+) (.*)$')
if not shape then return nil end
return {
shape = shape, permits = tonumber(permits), ttl = tonumber(ttl), delay = tonumber(delay),
min_hold = tonumber(min_hold), channel = channel, about = about,
}
end
local function read_front(keys)
local front = redis.call('ZRANGE', keys.line, 0, 0)[1]
return front, front and read_place(redis.call('HGET', keys.places, front))
end
local function publish(channel, message)
local heard
if string.find(channel, '{', 1, true) then
heard = redis.pcall('SPUBLISH', channel, message)
else
heard = redis.pcall('PUBLISH', channel, message)
end
return type(heard) == 'number' and heard or 0
end
local function tell_front(keys)
local front, place = read_front(keys)
return place and publish(place.channel, front) > 0
end
local function leave(keys, ...)
redis.call('HDEL', keys.places, ...)
redis.call('ZREM', keys.alive, ...)
return redis.call('ZREM', keys.line, ...) > 0
end
local function join(keys, identity, ticket, record)
if redis.call('ZSCORE', keys.line, identity) then
if redis.call('HGET', keys.places, identity) ~= record then
redis.call('HSET', keys.places, identity, record)
end
return
end
if ticket == '' then
local last = redis.call('ZRANGE', keys.line, -1, -1, 'WITHSCORES')[2]
ticket = string.format('%.0f', math.max((last or 0) + 1, now_us))
end
redis.call('ZADD', keys.line, ticket, identity)
redis.call('HSET', keys.places, identity, record)
end
local function stay(keys, identity, wait_ttl)
redis.call('PEXPIRE', keys.line, LINE_TTL)
redis.call('ZADD', keys.alive, 'GT', now + wait_ttl, identity)
redis.call('PEXPIRE', keys.alive, LINE_TTL)
redis.call('PEXPIRE', keys.places, LINE_TTL)
end
local swept = {}
local function sweep(keys)
if swept[keys.line] then return end
swept[keys.line] = true
local silent = redis.call('ZRANGEBYSCORE', keys.alive, '-inf', now, 'LIMIT', 0, SWEEP)
if #silent == 0 then return end
local front = redis.call('ZRANGE', keys.line, 0, 0)[1]
leave(keys, unpack(silent))
if redis.call('ZRANGE', keys.line, 0, 0)[1] ~= front then tell_front(keys) end
end
local function rank(keys, identity)
local ahead = redis.call('ZRANK', keys.line, identity)
return ahead, ahead and string.format('%.0f', redis.call('ZSCORE', keys.line, identity))
end
`

const permitsLua = `local MOST, BATCH = 200, 100
local function read_lease(text)
local permits, fence, since, ends, delay, min_hold, about =
string.match(text or '', '^(%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (.*)$')
if not permits then return nil end
return {
permits = tonumber(permits), fence = tonumber(fence), since = tonumber(since),
ends = tonumber(ends), delay = tonumber(delay), min_hold = tonumber(min_hold), about = about,
}
end
local function lease_text(lease)
return string.format('%.0f %.0f %.0f %.0f %.0f %.0f ', lease.permits, lease.fence, lease.since,
lease.ends, lease.delay, lease.min_hold) .. lease.about
end
local function find(lock, identity)
return read_lease(redis.call('HGET', lock.keys.leases, identity))
end
local function free(lock, identities)
for _, text in ipairs(redis.call('HMGET', lock.keys.leases, unpack(identities))) do
local lease = read_lease(text)
lock.taken = lock.taken - (lease and lease.permits or 0)
end
redis.call('ZREM', lock.keys.holders, unpack(identities))
redis.call('HDEL', lock.keys.leases, unpack(identities))
lock.changed = true
end
local function save(lock)
if not lock.changed then return end
local keys = lock.keys
local last = redis.call('ZRANGE', keys.holders, -1, -1, 'WITHSCORES')[2]
if not last then
redis.call('DEL', keys.lock, keys.holders, keys.leases)
return
end
local left = math.max(1, last - now)
local value = string.format('#%s %.0f', lock.shape, lock.taken)
redis.call('SET', keys.lock, value, 'PX', left)
redis.call('PEXPIRE', keys.holders, left)
redis.call('PEXPIRE', keys.leases, left)
end
local function open(keys, shape)
local value = redis.pcall('GET', keys.lock)
if type(value) == 'table' then
if not string.find(value.err, 'WRONGTYPE', 1, true) then redis.call('GET', keys.lock) end
return nil, { 'occupied', redis.call('TYPE', keys.lock).ok }
end
local found, taken = string.match(value or '', '^#(%S+ %d+) (%d+)$')
if value and not found then
local identity = string.match(redis.call('GET', keys.fence) or '', '^%d+ (%S+) ')
local ours = identity and (value == identity or value == '~' .. identity)
return nil, ours and { 'shape', 'mutex 1' } or { 'occupied', 'string' }
end
if redis.call('EXISTS', keys.holders, keys.leases) ~= (found and 2 or 0) then
redis.call('DEL', keys.lock, keys.holders, keys.leases)
found, taken = nil, nil
end
if not found then
local _, place = read_front(keys)
found = place and place.shape
end
if found and found ~= shape then return nil, { 'shape', found } end
local lock = {
keys = keys, shape = shape, capacity = tonumber(string.match(shape, '%d+$')),
taken = tonumber(taken) or 0,
}
local over = redis.call('ZRANGEBYSCORE', keys.holders, '-inf', now, 'LIMIT', 0, SWEEP)
if #over > 0 then
free(lock, over)
save(lock)
end
lock.more = #over == SWEEP
sweep(keys)
return lock
end
local function draw_first(lock, count, alive, keep, least)
local last = string.match(redis.call('GET', lock.keys.fence) or '', '^%d+')
local first = math.max((last or 0) + 1, now_us, least or 0)
local record = string.format('%.0f', first + count - 1)
local done = redis.pcall('SET', lock.keys.fence, record, 'PX', math.max(keep, alive))
if done.err then return nil, done end
return first
end
local function hold(lock, granted)
local ends, texts = {}, {}
for _, each in ipairs(granted) do
local place = each.place
ends[#ends + 1] = now + life(each.ttl, place.delay, place.min_hold)
ends[#ends + 1] = each.identity
texts[#texts + 1] = each.identity
texts[#texts + 1] = lease_text({
permits = place.permits, fence = each.fence, since = now, ends = now + each.ttl,
delay = place.delay, min_hold = place.min_hold, about = place.about,
})
lock.taken = lock.taken + place.permits
end
if #granted == 0 then return end
redis.call('ZADD', lock.keys.holders, unpack(ends))
redis.call('HSET', lock.keys.leases, unpack(texts))
lock.changed = true
end
local function fitting(lock, most, caller, caller_ttl)
local keys, room = lock.keys, lock.capacity - lock.taken
local last = math.max(1, math.min(most, BATCH, room)) - 1
local identities = redis.call('ZRANGE', keys.line, 0, last)
local records = redis.call('HMGET', keys.places, unpack(identities))
local batch, alive = {}, 0
for at, identity in ipairs(identities) do
local place = read_place(records[at])
if place and place.permits > room then break end
local ttl = identity == caller and caller_ttl or place and place.ttl
batch[at] = { identity = identity, place = place, ttl = ttl }
if place then
room = room - place.permits
alive = math.max(alive, life(ttl, place.delay, place.min_hold))
end
end
return batch, alive
end
local function tell(batch, caller, deaf)
local messages, channels, told = {}, {}, {}
for _, each in ipairs(batch) do
local channel = each.place and each.place.channel
if channel and each.identity ~= caller then
local text = string.format('%s %.0f %.0f %.0f', each.identity, each.fence, now_us, each.ttl)
if not messages[channel] then
messages[channel] = {}
channels[#channels + 1] = channel
end
table.insert(messages[channel], text)
end
end
for _, channel in ipairs(channels) do
if not deaf[channel] then
deaf[channel] = publish(channel, table.concat(messages[channel], '\\n')) == 0
end
end
for _, each in ipairs(batch) do
local heard = each.place and (each.identity == caller or not deaf[each.place.channel])
if heard then told[#told + 1] = each end
end
return told
end
local function admit(lock, keep, caller, caller_ttl)
local keys, deaf, mine, left = lock.keys, {}, nil, MOST
while true do
local front, place = read_front(keys)
lock.front = front
if not front or place and place.permits > lock.capacity - lock.taken then return mine end
if left <= 0 then
left = left - 1
if tell_front(keys) or left <= -MOST then return mine end
leave(keys, front)
else
local batch, alive = fitting(lock, left, caller, caller_ttl)
local first = draw_first(lock, #batch, alive, keep)
if not first then return mine end
local names = {}
for at, each in ipairs(batch) do
each.fence = first + at - 1
names[at] = each.identity
if each.identity == caller then mine = each.fence end
end
hold(lock, tell(batch, caller, deaf))
leave(keys, unpack(names))
left = left - #batch
end
end
end
local function prolong(lock, identity, lease, ttl, keep, fence)
local keys = lock.keys
if now + ttl <= lease.ends and fence <= lease.fence then return lease.ends - now end
lease.ends = math.max(lease.ends, now + ttl)
local until_ms = math.max(lease.ends + lease.delay, lease.since + lease.min_hold)
local left = until_ms - now
for _, key in ipairs({ keys.lock, keys.holders, keys.leases }) do
redis.call('PEXPIRE', key, left, 'GT')
end
redis.call('PEXPIRE', keys.fence, math.max(keep, left), 'GT')
if fence > lease.fence then
lease.fence = fence
local last = tonumber(string.match(redis.call('GET', keys.fence) or '0', '^%d+'))
local record = string.format('%.0f', math.max(last, fence))
redis.call('SET', keys.fence, record, 'PX', math.max(keep, left))
end
redis.call('ZADD', keys.holders, until_ms, identity)
redis.call('HSET', keys.leases, identity, lease_text(lease))
return lease.ends - now
end
local function look_ms(lock)
local first = redis.call('ZRANGE', lock.keys.holders, 0, 0, 'WITHSCORES')[2]
return first and math.max(0, first - now) + 1 or FAR
end
`

const mutexLua = `local SHAPE = 'mutex 1'
local FOREIGN_LOOK = 250
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
local function other_shape(keys, value)
local shape = value and string.match(value, '^#(%S+ %d+) %d+$')
if not shape then
local _, place = read_front(keys)
shape = place and place.shape
end
return shape ~= SHAPE and shape or nil
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
local function advance(keys, keep, caller, caller_ttl, unheard)
sweep(keys)
local deaf = {}
if unheard then deaf[unheard] = true end
while true do
local front, place = read_front(keys)
if not front or place and place.shape ~= SHAPE then return nil end
local is_caller = front == caller
if place and (is_caller or not deaf[place.channel]) then
local ttl = is_caller and caller_ttl or place.ttl
local fence = draw(keys.fence, front, ttl, place.delay, place.min_hold, place.about, keep)
if not fence then return nil end
local message = string.format('%s %.0f %.0f %.0f', front, fence, now_us, ttl)
if is_caller or publish(place.channel, message) > 0 then
redis.call('SET', keys.lock, front, 'PX', life(ttl, place.delay, place.min_hold))
leave(keys, front)
return is_caller and fence or nil
end
deaf[place.channel] = true
end
leave(keys, front)
end
end
local function look_ms(keys, ours)
local left = redis.call('PTTL', keys.lock)
if left < 0 then return FOREIGN_LOOK end
return ours and left + 1 or math.min(left + 1, FOREIGN_LOOK)
end
`

const laterFenceLua = `local seen = redis.call('GET', KEYS[1])
local later = seen and tonumber(seen) > tonumber(ARGV[1]) and seen
if not later then
if ARGV[2] == '0' then
redis.call('SET', KEYS[1], ARGV[1])
else
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
end
end
`

const eachLua = `local function each(stride, arguments, renew)
local answer = { now_us }
for i = 1, #KEYS / stride do
local at = arguments * (i - 1) + 2
local done, standing = pcall(renew, at, keys_at(i, stride))
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
end
`

/** Takes permits that are free, or joins the line for them. */
export const acquirePermits: Script = {
  name: 'acquire-permits',
  sha1: '1912bc56c477b93ee4334446575985aabc60b1c4',
  keys: ['lock', 'fence', 'line', 'alive', 'places', 'holders', 'leases'],
  args: ['identity', 'ttl_ms', 'grant_ttl_ms', 'wait_ttl_ms', 'lock_delay_ms', 'min_hold_ms', 'keep_ms', 'not_after_ms', 'wait', 'ticket', 'channel', 'about', 'least_fence', 'shape', 'permits'],
  source: `${nowLua}${drawLua}${lineLua}${permitsLua}local identity, about, shape = ARGV[1], ARGV[12], ARGV[14]
local ttl, keep, wait = tonumber(ARGV[2]), tonumber(ARGV[7]), ARGV[9] == '1'
local record = { shape, ARGV[15], ARGV[3], ARGV[5], ARGV[6], ARGV[11], about }
if now > tonumber(ARGV[8]) then return { 'late', now_us } end
local keys = keys_at(1, 7)
local lock, other = open(keys, shape)
if not lock then return other end
local function set_aside()
local name = '~' .. identity
while redis.call('HEXISTS', keys.leases, name) == 1 do name = '~' .. name end
redis.call('HSET', keys.leases, name, redis.call('HGET', keys.leases, identity))
redis.call('ZADD', keys.holders, redis.call('ZSCORE', keys.holders, identity), name)
redis.call('HDEL', keys.leases, identity)
redis.call('ZREM', keys.holders, identity)
end
local function take()
local place = read_place(table.concat(record, ' '))
if lock.front or place.permits > lock.capacity - lock.taken then return nil end
local alive = life(ttl, place.delay, place.min_hold)
local fence, failure = draw_first(lock, 1, alive, keep, tonumber(ARGV[13]))
if not fence then return nil, failure end
hold(lock, { { identity = identity, place = place, fence = fence, ttl = ttl } })
return fence
end
local function enter()
local lease = find(lock, identity)
if lease and lease.ends > now then
local left = prolong(lock, identity, lease, ttl, keep, 0)
admit(lock, keep)
return lease.fence, left
end
if lease then set_aside() end
local known = ARGV[10] ~= '' or redis.call('ZSCORE', keys.line, identity)
if not known then
admit(lock, keep)
local fence, failure = take()
if fence or failure then return fence, failure or ttl end
end
if wait or known then join(keys, identity, ARGV[10], table.concat(record, ' ')) end
if wait then stay(keys, identity, ARGV[4]) end
local fence = known and admit(lock, keep, identity, ttl)
if not fence and not wait then
leave(keys, identity)
admit(lock, keep)
end
return fence, ttl
end
local fence, left = enter()
if not fence and type(left) == 'table' then return left end
save(lock)
if fence then return { 'held', fence, left, now_us } end
if lock.more and not wait then return { 'again', now_us } end
local holder = redis.call('ZRANGE', keys.holders, 0, 0)[1] or ''
local shown = holder ~= '' and find(lock, holder)
if shown and shown.ends <= now then holder = '~' .. holder end
local shown_about = shown and shown.about or ''
if not wait then return { 'absent', now_us, holder, 1, shown_about } end
local ahead, ticket = rank(keys, identity)
local look = (ahead or 0) == 0 and look_ms(lock) or FAR
return { 'waiting', ahead or 0, look, now_us, ticket or '0', holder, 1, shown_about }
`,
}

/** Takes a mutex that is free, or joins its line. */
export const acquire: Script = {
  name: 'acquire',
  sha1: '5f000c0c99226562573ac65af52fd7fb31d14fb8',
  keys: ['lock', 'fence', 'line', 'alive', 'places'],
  args: ['identity', 'not_after_ms', 'ttl_ms', 'alive_ms', 'keep_ms', 'delay_about', 'terms', 'least_fence', 'min_hold_ms'],
  source: `${nowLua}if now > tonumber(ARGV[2]) then return { 'late', now_us } end
local now_text = time[1] .. string.sub('00000' .. time[2], -6)
local is_free = redis.call('EXISTS', KEYS[1], KEYS[3]) == 0
if is_free and not ARGV[8] then
local since = string.sub(now_text, 1, -4)
local record = now_text .. ' ' .. ARGV[1] .. ' ' .. since .. ' 0 ' .. ARGV[6]
local last = redis.pcall('SET', KEYS[2], record, 'PX', ARGV[5], 'GET')
if last and last.err then return last end
if not last or string.find(last, ' ', 1, true) == #now_text + 1 and last < now_text then
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[4])
return now_us
end
redis.call('SET', KEYS[2], last, 'PX', ARGV[5])
end
local grant_ttl, wait_ttl, place = string.match(ARGV[7], '^(%d+) (%d+) 1 %- (%S+)$')
if grant_ttl and not is_free and not ARGV[9] then
local holder, about =
string.match(redis.call('GET', KEYS[2]) or '', '^%d+ (%S+) %d+ 0 0 (.*)$')
local last = redis.call('ZRANGE', KEYS[3], '-1', '-1', 'WITHSCORES')[2]
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
if not last or math.floor(last / 15e6) ~= math.floor(now_us / 15e6) then
for at = 3, 5 do redis.call('PEXPIRE', KEYS[at], '60000') end
end
if last then
local ahead = redis.call('ZRANK', KEYS[3], ARGV[1])
return { 'waiting', ahead, 60000, now_us, now_us, holder, 1, about }
end
local left = redis.call('PTTL', KEYS[1])
return { 'waiting', 0, left < 0 and 250 or left + 1, now_us, now_us, holder, 1, about }
end
end
${drawLua}${lineLua}${mutexLua}local identity, ttl, keep = ARGV[1], tonumber(ARGV[3]), tonumber(ARGV[5])
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
if not grant then
local fence, failure = draw(keys.fence, identity, ttl, delay, min_hold, about, keep)
if not fence then return failure end
grant = read_grant(keys.fence)
end
return { 'held', grant.fence, prolong(keys, keep, grant, ttl, delay, min_hold), now_us }
end
local other = not grant and other_shape(keys, holder)
if other then return { 'shape', other } end
if wait or ticket ~= '' then
sweep(keys)
local record = { SHAPE, 1, grant_ttl, delay, min_hold, channel, about }
join(keys, identity, ticket, table.concat(record, ' '))
end
if wait then stay(keys, identity, wait_ttl) end
if not holder then
local fence = advance(keys, keep, identity, ttl)
if fence then return { 'held', fence, ttl, now_us } end
if redis.call('EXISTS', keys.lock, keys.line) == 0 then return take() end
holder, grant = read_lock(keys)
end
if not wait then leave(keys, identity) end
local ours = grant and 1 or 0
local shown = grant and grant.about or ''
if not wait then return { 'absent', now_us, holder or '', ours, shown } end
local ahead, own_ticket = rank(keys, identity)
local look = (ahead or 0) == 0 and look_ms(keys, grant) or FAR
return { 'waiting', ahead or 0, look, now_us, own_ticket or '0', holder or '', ours, shown }
`,
}

/** Notes that a list of nodes is in use, and tells which others were, latest last. */
export const enlist: Script = {
  name: 'enlist',
  sha1: '4d589dd229f57f8d805bf2a9f1848a54560ced4f',
  keys: ['lists', 'users'],
  args: ['list', 'by', 'node', 'keep', 'shown'],
  source: `${nowLua}local lists, users = KEYS[1], KEYS[2]
local list, keep, shown = ARGV[1], tonumber(ARGV[4]), tonumber(ARGV[5])
local DAY = 86400000
local node = redis.call('ZRANGEBYSCORE', lists, '+inf', '+inf')[1]
if not node then
node = ARGV[3] .. ' ' .. now
redis.call('ZADD', lists, '+inf', node)
end
for _, over in ipairs({ { '-inf', '(' .. now - keep }, { '(' .. now, '(+inf' } }) do
for _, old in ipairs(redis.call('ZRANGEBYSCORE', lists, over[1], over[2])) do
redis.call('ZREM', lists, old)
redis.call('HDEL', users, old)
end
end
local others = {}
local latest = redis.call('ZRANGE', lists, -2 - shown, -2, 'WITHSCORES')
for at = 1, #latest, 2 do
local other = latest[at]
if other ~= list then
local by = redis.call('HGET', users, other) or ''
others[#others + 1] = { other, by, now - tonumber(latest[at + 1]) }
end
end
if list ~= '' then
redis.call('ZADD', lists, now, list)
redis.call('HSET', users, list, ARGV[2])
end
redis.call('PEXPIRE', lists, DAY)
redis.call('PEXPIRE', users, DAY)
local name, made = string.match(node, '^(%S+) (%d+)$')
return { name, math.max(0, now - tonumber(made)), others }
`,
}

/** Ends the script in front of which it stands with an error when a later fence was seen. */
export const fenceGuard: Script = {
  name: 'fence-guard',
  sha1: '39b9a5ba99f9f05e2b13b36bc442c8af055f228b',
  keys: ['mark', 'others...'],
  args: ['fence', 'remember_ms', 'others...'],
  source: `${laterFenceLua}if later then
return redis.error_reply('STALEFENCE ' .. ARGV[1] .. ' is older than ' .. later)
end
`,
}

/** Writes a value unless a later fence was seen at its mark. */
export const fencedSet: Script = {
  name: 'fenced-set',
  sha1: '231482c4b0f63ef8553a783c3c585bb85192024e',
  keys: ['mark', 'value'],
  args: ['fence', 'remember_ms', 'value', 'expire_ms'],
  source: `${laterFenceLua}if later then
return later
end
if ARGV[4] == '0' then
redis.call('SET', KEYS[2], ARGV[3])
else
redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[4])
end
return '0'
`,
}

/** Tells what a lock of any kind looks like, and changes nothing. */
export const inspect: Script = {
  name: 'inspect',
  sha1: '27b61169d8573c1ec723a39f211d41049f3c59a8',
  keys: ['lock', 'fence', 'line', 'alive', 'places', 'holders', 'leases'],
  args: ['most'],
  source: `${nowLua}${drawLua}${lineLua}${mutexLua}${permitsLua}local keys, most = keys_at(1, 7), tonumber(ARGV[1])
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
`,
}

/** Finds the commands that scripts may not call here, and leaves nothing behind. */
export const permissions: Script = {
  name: 'permissions',
  sha1: '3653666a56ff3f79cf1793f430a8593c8e8ba281',
  keys: ['lock', 'fence', 'line', 'alive', 'places', 'holders', 'leases'],
  args: ['channel'],
  source: `local key = KEYS[1]
local found = {}
local function try(command, ...)
local reply = redis.pcall(command, ...)
if type(reply) ~= 'table' or not reply.err then return true end
local said = string.lower(reply.err)
local denied = string.find(said, 'permission', 1, true) or string.find(said, "^err the user .* can't")
if denied or string.find(said, 'unknown', 1, true) then
found[#found + 1] = command
found[#found + 1] = reply.err
end
return false
end
try('TIME')
local is_set = try('SET', key, '', 'PX', 1000)
try('GET', key)
try('EXISTS', key)
try('TYPE', key)
try('PTTL', key)
try('PEXPIRE', key, 1000)
try('HGET', key, '')
try('HMGET', key, '')
try('HEXISTS', key, '')
try('HDEL', key, '')
if is_set then try('HSET', key, '', '') end
try('ZADD', key, 'XX', 1, '')
try('ZCOUNT', key, 0, 0)
try('ZRANGE', key, 0, 0)
try('ZRANGEBYSCORE', key, 0, 0)
try('ZRANK', key, '')
try('ZREM', key, '')
try('ZSCORE', key, '')
if string.find(ARGV[1], '{', 1, true) then
try('SPUBLISH', ARGV[1], '')
else
try('PUBLISH', ARGV[1], '')
end
try('DEL', key)
return found
`,
}

/** Gives permits back, or leaves the line for them, and grants the next waiters in the same step. */
export const releasePermits: Script = {
  name: 'release-permits',
  sha1: '3bcf85d3796f2990f3c8e46535507ebfbb3506a4',
  keys: ['lock', 'fence', 'line', 'alive', 'places', 'holders', 'leases'],
  args: ['identity', 'min_hold_ms', 'keep_ms', 'force', 'shape'],
  source: `${nowLua}${drawLua}${lineLua}${permitsLua}local identity, min_hold, keep = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local force = ARGV[4] == '1'
local keys = keys_at(1, 7)
local function clear_after(lock)
local name, cleared = find(lock, identity) and identity or '~' .. identity, false
while redis.call('HEXISTS', keys.leases, name) == 1 do
free(lock, { name })
name, cleared = '~' .. name, true
end
return cleared
end
local function clear_all(lock)
local cleared = false
for _, name in ipairs(redis.call('ZRANGE', keys.holders, 0, -1)) do
if find(lock, name).ends <= now or string.sub(name, 1, 1) == '~' then
free(lock, { name })
cleared = true
end
end
return cleared
end
sweep(keys)
local front = redis.call('ZRANGE', keys.line, 0, 0)[1]
local found = leave(keys, identity)
local lock = open(keys, ARGV[5])
if not lock then return { found and 1 or 0, now_us } end
local lease, kept = find(lock, identity), false
if lease and lease.ends > now then
found = true
local rest = force and 0 or lease.since + min_hold - now
kept = rest > 0
if kept then
lease.ends = 0
redis.call('ZADD', keys.holders, now + rest, identity)
redis.call('HSET', keys.leases, identity, lease_text(lease))
lock.changed = true
else
free(lock, { identity })
end
end
if force then
local cleared = identity == '' and clear_all(lock) or identity ~= '' and clear_after(lock)
found = found or cleared
end
admit(lock, keep)
save(lock)
if lock.front and (front == identity or kept) then tell_front(keys) end
return { found and 1 or 0, now_us }
`,
}

/** Leaves a mutex, as holder or as waiter, and grants the next waiter in the same step. */
export const release: Script = {
  name: 'release',
  sha1: '0459d68ad571ea3cf2e1297fa3b97eafb8cd49ac',
  keys: ['lock', 'fence', 'line', 'alive', 'places'],
  args: ['identity', 'keep_ms', 'force', 'min_hold_ms', 'lock_delay_ms'],
  source: `local identity = ARGV[1]
local holder = redis.pcall('GET', KEYS[1])
local unheard
if holder == identity and not ARGV[4] then
if redis.call('EXISTS', KEYS[3]) == 0 then
redis.call('DEL', KEYS[1])
return 1
end
local function pass_on()
local front, second = unpack(redis.call('ZRANGE', KEYS[3], '0', '1'))
local ttl, channel, about = string.match(redis.call('HGET', KEYS[5], front) or '',
'^mutex 1 1 (%d+) 0 0 (%S+) (.*)$')
if not ttl then return nil end
local time = redis.call('TIME')
local now_us = time[1] * 1000000 + time[2]
local fence = time[1] .. string.sub('00000' .. time[2], -6)
if tonumber(redis.call('ZSCORE', KEYS[4], front) or 0) * 1000 <= now_us then return nil end
local grant = ' ' .. front .. ' ' .. string.sub(fence, 1, -4) .. ' 0 0 ' .. about
local keep = tonumber(ttl) > tonumber(ARGV[2]) and ttl or ARGV[2]
local last = redis.pcall('SET', KEYS[2], fence .. grant, 'PX', keep, 'GET')
if last and (last.err or (tonumber(string.match(last, '^%d+')) or 0) >= now_us) then
if not last.err then redis.call('SET', KEYS[2], last, 'PX', keep) end
return nil
end
local message = front .. ' ' .. fence .. ' ' .. fence .. ' ' .. ttl
if channel ~= ARGV[3] then
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
local done, now_us, message = pcall(pass_on)
if done and now_us then return { 1, now_us, message } end
end
${nowLua}${drawLua}${lineLua}${mutexLua}local keys, keep = keys_at(1, 5), tonumber(ARGV[2])
local force, min_hold = ARGV[3] == '1', tonumber(ARGV[4] or 0)
local plain = force or min_hold == 0 and (ARGV[5] or '0') == '0'
local function keep_for(rest)
redis.call('PEXPIRE', keys.lock, rest)
redis.pcall('SET', keys.lock, '~' .. identity, 'PX', rest)
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
if value ~= identity then return { 0, now_us } end
local rest = grant and grant.since + min_hold - now or 0
if rest > 0 then return keep_for(rest) end
return hand_over()
end
if force then
local value, grant = read_lock(keys)
local kept = grant and value == '~' .. grant.identity
if kept and (identity == '' or identity == grant.identity) then
leave(keys, identity)
return hand_over()
end
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

/** Keeps many places alive at locks with permits, and says where each stands. */
export const renewPermits: Script = {
  name: 'renew-permits',
  sha1: '1b218f5d7cfe365143ce012b5153b6311e9533bd',
  keys: ['lock', 'fence', 'line', 'alive', 'places', 'holders', 'leases...'],
  args: ['keep_ms', 'identity', 'ttl_ms', 'wait_ttl_ms', 'fence', 'shape...'],
  source: `${nowLua}${drawLua}${lineLua}${permitsLua}local keep = tonumber(ARGV[1])
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
${eachLua}return each(7, 5, renew)
`,
}

/** Keeps many places alive at mutexes, held and waiting ones, and says where each stands. */
export const renew: Script = {
  name: 'renew',
  sha1: '9e0cb9ce9f582c38190253a57f3994205a16dcf5',
  keys: ['lock', 'fence', 'line', 'alive', 'places...'],
  args: ['keep_ms', 'identity', 'ttl_ms', 'wait_ttl_ms', 'lock_delay_ms', 'min_hold_ms', 'fence...'],
  source: `${nowLua}${drawLua}${lineLua}${mutexLua}local keep = tonumber(ARGV[1])
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
if type(holder) == 'table' then return { 'absent' } end
if holder == identity then
if not grant then
local fence, failure = draw(keys.fence, identity, ttl, delay, min_hold, '', keep)
if not fence then return { 'unknown', failure.err } end
grant = read_grant(keys.fence)
end
local left = prolong(keys, keep, grant, ttl, delay, min_hold)
return { 'held', raise(keys, grant, tonumber(ARGV[at + 5])), left }
end
sweep(keys)
if not redis.call('ZSCORE', keys.alive, identity) then
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
${eachLua}return each(5, 6, renew)
`,
}
