-- Ends the script in front of which it stands with an error when a later fence was seen.
-- KEYS: mark, others...
-- ARGV: fence, remember_ms, others...
-- @include later-fence
if later then
  return redis.error_reply('STALEFENCE ' .. ARGV[1] .. ' is older than ' .. later)
end
