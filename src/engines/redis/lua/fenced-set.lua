-- Writes a value unless a later fence was seen at its mark.
-- KEYS: mark, value
-- ARGV: fence, remember_ms, value, expire_ms
-- Returns 0 when it was written, else the later fence.
-- @include later-fence

if later then
  return later
end
if ARGV[4] == '0' then
  redis.call('SET', KEYS[2], ARGV[3])
else
  redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[4])
end
return '0'
