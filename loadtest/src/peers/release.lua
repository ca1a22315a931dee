-- Releases a hold, and returns what the seat's value was; nothing if the user has no such hold.
-- KEYS: the schedule's seats. ARGV: the seat, the nonce and the user.
local standing = redis.call('HGET', KEYS[1], ARGV[1])
if not standing or string.byte(standing) ~= 104 or string.sub(standing, 15) ~= ARGV[2] then
    return false
end
redis.call('HSET', KEYS[1], ARGV[1], '')
return standing
