-- Finds the commands that scripts may not call here, and leaves nothing behind.
-- KEYS: lock, fence, line, alive, places, holders, leases
-- ARGV: channel
-- Returns the name of each such command and what the server said.

local key = KEYS[1]
local found = {}

local function try(command, ...)
  local reply = redis.pcall(command, ...)
  if type(reply) ~= 'table' or not reply.err then return true end
  local said = string.lower(reply.err)
  -- Redis 7.0 says that the user can't run, access or publish; later servers speak of permissions.
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
-- The key holds a string: these are refused for that, after the rights were looked at.
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
