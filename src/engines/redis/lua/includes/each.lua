-- Runs one renewal for each place, of so many KEYS and ARGV each after the first of ARGV.
local function each(stride, arguments, renew)
  local answer = { now_us }
  for i = 1, #KEYS / stride do
    local at = arguments * (i - 1) + 2
    local done, standing = pcall(renew, at, keys_at(i, stride))
    if not done then
      local why = type(standing) == 'table' and standing.err or tostring(standing)
      -- One lock that cannot be served does not spoil the rest. A server that serves none says so.
      for _, word in ipairs({ 'READONLY', 'MISCONF', 'NOREPLICAS', 'MASTERDOWN', 'NOPERM' }) do
        if string.find(why, word, 1, true) then error(standing) end
      end
      standing = { 'unknown', why }
    end
    answer[i + 1] = standing
  end
  return answer
end
