-- The server's clock: microseconds for fences, milliseconds for everything that expires.
local time = redis.call('TIME')
local now_us = time[1] * 1000000 + time[2]
local now = math.floor(now_us / 1000)
