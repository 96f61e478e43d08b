package redisstore

import "github.com/redis/go-redis/v9"

// A value is a string:
//
//	c1   s, by which the scripts know what is theirs
//	d    version
//	d    time at which it was written
//	d    deadline; 0: never
//	     data
//
// The letters are those of Lua's struct library. Times are microseconds of Unix time by the server's clock, which a
// double holds exactly until the year 2255. The trace of a deleted value is one whose deadline is long past.
const (
	stateLayout = `'<c1ddd'`

	// Of record, the value or its header. What is absent is of version 0 and expired.
	unpackState = readClock + `
local version, written, deadline = 0, 0, 1
if record ~= '' then
  if #record < 25 or string.sub(record, 1, 1) ~= 's' then
    return redis.error_reply('WRONGTYPE not a value of this version')
  end
  version, written, deadline = struct.unpack('<ddd', record, 2)
end
local live = deadline == 0 or now < deadline
`
	// Without the data, which may be long.
	readState = `
local record = redis.call('GETRANGE', KEYS[1], 0, 24)
` + unpackState

	// A user who may not publish can write all the same.
	publishChange = `
redis.pcall('PUBLISH', ARGV[1], KEYS[1])
`
)

// getStateScript
//
//	KEYS 1 value
//	returns nothing, or version, µs since it was written, µs left (0: no expiry), data
var getStateScript = redis.NewScript(`
local record = redis.call('GET', KEYS[1]) or ''
` + unpackState + `
if not live then
  return {}
end
return {version, now - written, deadline == 0 and 0 or deadline - now, string.sub(record, 26)}
`)

// swapScript
//
//	KEYS 1 value
//	ARGV 1 channel, 2 old version, 3 data, 4 ttl in µs, 5 ms until Redis forgets the value
//	returns the new version, or 0 if the value is at another one than the old
var swapScript = redis.NewScript(readState + `
if tonumber(ARGV[2]) ~= (live and version or 0) then
  return 0
end
version = math.max(version + 1, now)
if ARGV[4] == '0' then
  redis.call('SET', KEYS[1], struct.pack(` + stateLayout + `, 's', version, now, 0) .. ARGV[3])
else
  redis.call('SET', KEYS[1], struct.pack(` + stateLayout + `, 's', version, now, now + ARGV[4]) .. ARGV[3], 'PX', ARGV[5])
end
` + publishChange + `
return version
`)

// deleteScript leaves a trace, so that the next version is a later one.
//
//	KEYS 1 value
//	ARGV 1 channel, 2 version, 3 ms until Redis forgets the trace
//	returns 1, or 0 if the value is at another version
var deleteScript = redis.NewScript(readState + `
if not live or tonumber(ARGV[2]) ~= version then
  return 0
end
redis.call('SET', KEYS[1], struct.pack(` + stateLayout + `, 's', version, now, 1), 'PX', ARGV[3])
` + publishChange + `
return 1
`)
