package redisstore

import "github.com/redis/go-redis/v9"

// What is known of a limit is a string of Lua's struct library, which begins with a letter for the algorithm, or a list.
// Times are microseconds of Unix time by the server's clock. All numbers are whole, and less than 2^53, up to which a
// double holds them exactly: that is what the bounds of ratelimit.Request are for.
//
// Each script returns 1 or 0 for allowed or not, how long the calls have to wait, and how many remain. When the calls are
// not allowed it changes nothing, but for forgetting what is out of date.

const checkLetter = `
if letter ~= expected then
  return redis.error_reply('WRONGTYPE not a rate limit of this version')
end
`

// gcraScript keeps how long the bucket takes to fill, in nanoseconds, and when that was so. A clock that has been set back
// neither adds tokens nor stops the flow.
//
//	KEYS 1 limit
//	ARGV 1 calls, 2 nanoseconds that one token takes to flow in, 3 tokens in a full bucket
//	returns the wait in nanoseconds
var gcraScript = redis.NewScript(readClock + `
local calls, interval, burst = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local missing = 0
local record = redis.call('GET', KEYS[1])
if record then
  local letter, at, was = struct.unpack('<c1dd', record)
  local expected = 'g'
` + checkLetter + `
  missing = math.max(0, was - math.max(0, now - at) * 1000)
end
local wait = missing + (calls - burst) * interval
if wait > 0 then
  return {0, wait, math.max(0, math.floor((burst * interval - missing) / interval))}
end
missing = missing + calls * interval
redis.call('SET', KEYS[1], struct.pack('<c1dd', 'g', now, missing), 'PX', math.floor(missing / 1000000) + 2)
return {1, 0, math.floor((burst * interval - missing) / interval)}
`)

// counterScript keeps the calls of a period, counted since 1970, and of the one before. The formula is that of
// ratelimit.SlidingCounter. Its product room * period may be beyond 2^53, so it is taken apart: with
// period = q * previous + r it is room * q * previous + room * r. While the clock is behind the last period in which
// calls were allowed, it is taken for the start of that.
//
//	KEYS 1 limit
//	ARGV 1 calls, 2 limit, 3 period in µs
//	returns the wait in µs
var counterScript = redis.NewScript(readClock + `
local calls, limit, period = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local index = math.floor(now / period)
local previous, current = 0, 0
local record = redis.call('GET', KEYS[1])
if record then
  local letter, at, before, last = struct.unpack('<c1ddd', record)
  local expected = 'c'
` + checkLetter + `
  if index < at then
    index = at
    now = at * period
  end
  if index == at then
    previous, current = before, last
  elseif index == at + 1 then
    previous = last
  end
end
local left = (index + 1) * period - now

local function coverable(room, previous)
  if room >= previous then
    return period
  end
  return room * math.floor(period / previous) + math.floor(room * (period % previous) / previous)
end

local function wait(calls)
  local room = limit - current - calls
  if room >= 0 then
    return math.max(0, left - coverable(room, previous))
  end
  return left + period - coverable(limit - calls, current)
end

local function remaining()
  local n = math.max(0, limit - current - math.ceil(previous * left / period)) -- which may be one off
  while n > 0 and wait(n) > 0 do
    n = n - 1
  end
  while n < limit and wait(n + 1) == 0 do
    n = n + 1
  end
  return n
end

local delay = wait(calls)
if delay > 0 then
  return {0, delay, remaining()}
end
current = current + calls
redis.call('SET', KEYS[1], struct.pack('<c1ddd', 'c', index, previous, current),
  'PX', math.floor((left + period) / 1000) + 2)
return {1, 0, remaining()}
`)

// logScript keeps the times of the calls in the window, oldest first. While the clock is behind the last of them, that is
// the time.
//
//	KEYS 1 limit
//	ARGV 1 calls, 2 limit, 3 period in µs
//	returns the wait in µs
var logScript = redis.NewScript(readClock + `
local calls, limit, period = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local count = redis.call('LLEN', KEYS[1])
local function at(i)
  return tonumber(redis.call('LINDEX', KEYS[1], i))
end
if count > 0 then
  now = math.max(now, at(-1))
  local gone, kept = 0, count -- so many have left the window for sure, and so many may have
  while gone < kept do
    local middle = math.floor((gone + kept) / 2)
    if at(middle) + period <= now then
      gone = middle + 1
    else
      kept = middle
    end
  end
  if gone > 0 then
    redis.call('LTRIM', KEYS[1], gone, -1)
    count = count - gone
  end
end
if count + calls > limit then
  return {0, at(count + calls - limit - 1) + period - now, math.max(0, limit - count)}
end
local text, times = string.format('%.0f', now), {}
for i = 1, calls do
  times[#times + 1] = text
  if #times == 1000 or i == calls then -- unpack has a limit
    redis.call('RPUSH', KEYS[1], unpack(times))
    times = {}
  end
end
redis.call('PEXPIRE', KEYS[1], math.floor(period / 1000) + 2)
return {1, 0, limit - count - calls}
`)
