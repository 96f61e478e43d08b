package redisstore

import "github.com/redis/go-redis/v9"

// A record is a string, which Redis makes and replaces in one command, faster than a hash (the budget is that of a
// SET):
//
//	c1   state: p pending, c complete, r released
//	c16  owner
//	d    fence
//	d    creation
//	d    deadline: end of the lease or of the retention; 0: never
//	d    grace: milliseconds for which a lapsed claim is kept
//	d    time at which the result was stored
//	B    length of the fingerprint
//	c0   fingerprint
//	     result
//
// The letters are those of Lua's struct library. Times are microseconds of Unix time by the server's clock, which a
// double holds exactly until the year 2255. Another layout would need other letters for the states, by which the
// scripts of both versions know what is not theirs.
//
// A client that lost the answer to a script runs it again, so each script knows its own work by the owner.
// What is repeated is written again, though nothing changes: WAIT is about the last write of a connection.
const (
	layout    = `'<c1c16dddddBc0'`
	headerEnd = `121` // last byte that a header with the longest fingerprint has

	readClock = `
local now = redis.call('TIME')
now = now[1] * 1000000 + now[2]
`
	unpackRecord = `
local state, owner, fence, created, deadline, grace, stored, fingerprint, rest = struct.unpack(` + layout + `, record)
if not string.find('pcr', state, 1, true) then
  return redis.error_reply('WRONGTYPE not a record of this version')
end
`
	// Without the result, which may be long.
	readHeader = `
local record = redis.call('GETRANGE', KEYS[1], 0, ` + headerEnd + `)
if record == '' then
  return 0
end
` + unpackRecord
)

// script is a script and whether a promise depends on what it writes, so that replicas should have it.
type script struct {
	*redis.Script
	waits bool
}

// claimScript tries the most frequent case first: that the key is absent. A claim that is repeated changes nothing, and
// one whose repetition comes when it was released already does not come to life again.
//
//	KEYS 1 record
//	ARGV 1 owner, 2 fingerprint, 3 lease in µs, 4 ms until Redis forgets the record, 5 grace in ms
//	returns the fence of the acquired claim, or else
//	        outcome as in idempotency.Outcome, fence, µs left of the lease or of the retention (0: for ever),
//	        µs since the result was stored, result
var claimScript = script{waits: true, Script: redis.NewScript(readClock + `
local function claim(fence)
  return struct.pack(` + layout + `, 'p', ARGV[1], fence, now, now + ARGV[3], ARGV[5], 0, #ARGV[2], ARGV[2])
end
if redis.call('SET', KEYS[1], claim(now), 'NX', 'PX', ARGV[4]) then
  return now
end
local record = redis.call('GET', KEYS[1])
` + unpackRecord + `
local live = state ~= 'r' and (deadline == 0 or now < deadline)
if owner == ARGV[1] and state == 'r' then
  return {2, fence, 0, 0, ''}
elseif owner == ARGV[1] and state == 'p' and live then
  return fence
elseif live then
  if ARGV[2] ~= '' and fingerprint ~= '' and ARGV[2] ~= fingerprint then
    return {4, fence, 0, 0, ''}
  elseif state == 'p' then
    return {2, fence, deadline - now, 0, ''}
  end
  return {3, fence, deadline == 0 and 0 or deadline - now, now - stored, string.sub(record, rest)}
end
fence = math.max(fence + 1, now)
redis.call('SET', KEYS[1], claim(fence), 'PX', ARGV[4])
return fence
`)}

// completeScript
//
//	KEYS 1 record
//	ARGV 1 owner, 2 result, 3 ttl in µs, 4 ms until Redis forgets the record
//	returns 1, or 0 if the claim is lost
var completeScript = script{waits: true, Script: redis.NewScript(readHeader + `
if owner ~= ARGV[1] or state == 'r' then
  return 0
end
` + readClock + `
if state == 'c' then
  return (deadline == 0 or now < deadline) and 1 or 0
end
local forever = ARGV[3] == '0'
deadline = forever and 0 or now + ARGV[3]
record = struct.pack(` + layout + `, 'c', owner, fence, created, deadline, 0, now, #fingerprint, fingerprint) .. ARGV[2]
if forever then
  redis.call('SET', KEYS[1], record)
else
  redis.call('SET', KEYS[1], record, 'PX', ARGV[4])
end
return 1
`)}

// extendScript
//
//	KEYS 1 record
//	ARGV 1 owner, 2 lease in µs, 3 lease in ms
//	returns 1, or 0 if the claim is lost
var extendScript = script{waits: true, Script: redis.NewScript(readHeader + `
if owner ~= ARGV[1] or state ~= 'p' then
  return 0
end
` + readClock + `
deadline = now + ARGV[2]
record = struct.pack(` + layout + `, 'p', owner, fence, created, deadline, grace, 0, #fingerprint, fingerprint)
redis.call('SET', KEYS[1], record, 'PX', ARGV[3] + grace)
return 1
`)}

// releaseScript leaves a trace, by which the owner's repeated release is known.
//
//	KEYS 1 record
//	ARGV 1 owner, 2 ms until Redis forgets the trace
//	returns 1, or 0 if the claim is lost
var releaseScript = script{Script: redis.NewScript(readHeader + `
if owner ~= ARGV[1] or state == 'c' then
  return 0
end
redis.call('SET', KEYS[1], struct.pack(` + layout + `, 'r', owner, fence, 0, 0, 0, 0, 0, ''), 'PX', ARGV[2])
return 1
`)}

// setScript
//
//	KEYS 1 record
//	ARGV 1 owner, 2 result, 3 ttl in µs, 4 ms until Redis forgets the record
//	returns 1
var setScript = script{waits: true, Script: redis.NewScript(readClock + `
local newFence = now
local record = redis.call('GETRANGE', KEYS[1], 0, ` + headerEnd + `)
if record ~= '' then
  ` + unpackRecord + `
  newFence = math.max(fence + 1, now)
end
local forever = ARGV[3] == '0'
local deadline = forever and 0 or now + ARGV[3]
record = struct.pack(` + layout + `, 'c', ARGV[1], newFence, now, deadline, 0, now, 0, '') .. ARGV[2]
if forever then
  redis.call('SET', KEYS[1], record)
else
  redis.call('SET', KEYS[1], record, 'PX', ARGV[4])
end
return 1
`)}

// getScript
//
//	KEYS 1 record
//	returns nothing, or state, fence, creation, deadline, fingerprint, result
var getScript = script{Script: redis.NewScript(readClock + `
local record = redis.call('GET', KEYS[1])
if not record then
  return {}
end
` + unpackRecord + `
if state == 'r' or (deadline ~= 0 and now >= deadline) then
  return {}
end
return {state, fence, created, deadline, fingerprint, string.sub(record, rest)}
`)}
