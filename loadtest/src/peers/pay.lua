-- Confirms a hold, takes its price off the balance and notes the payment: all or nothing. Returns the payment's note, or why there is none.
-- KEYS: the schedule's seats, the balances, the payments. ARGV: the seat, the nonce and the user, now, the user, the price, the payment's key, its note.
local paid = redis.call('HGET', KEYS[3], ARGV[6])
if paid then
    return paid
end
local standing = redis.call('HGET', KEYS[1], ARGV[1])
if not standing or string.byte(standing) ~= 104 or string.sub(standing, 15) ~= ARGV[2]
    or string.sub(standing, 2, 14) <= ARGV[3] then
    return -1
end
local balance = tonumber(redis.call('HGET', KEYS[2], ARGV[4]) or '0')
if balance < tonumber(ARGV[5]) then
    return -2
end
redis.call('HINCRBY', KEYS[2], ARGV[4], -tonumber(ARGV[5]))
redis.call('HSET', KEYS[1], ARGV[1], 'c' .. string.sub(standing, 2))
redis.call('HSET', KEYS[3], ARGV[6], ARGV[7])
return ARGV[7]
