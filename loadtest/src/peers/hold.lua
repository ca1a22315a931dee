-- Holds a seat that is free, or whose hold is over.
-- KEYS: the schedule's seats. ARGV: the seat, now, its new value.
-- A seat's value: nothing (free), or h (held) or c (confirmed), 13 digits of milliseconds when a hold is over, 16 of the nonce, the user.
local standing = redis.call('HGET', KEYS[1], ARGV[1])
if standing == '' or (standing and string.byte(standing) == 104 and string.sub(standing, 2, 14) <= ARGV[2]) then
    redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
    return 1
end
return 0
