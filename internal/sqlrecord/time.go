package sqlrecord

import (
	"math"
	"time"

	"github.com/steadyfx/steady/patterns/idempotency"
)

// Never is the time at which nothing expires.
const Never = math.MaxInt64

// minGrace is well above the time in which a client repeats what it has no answer to.
const minGrace = time.Minute

// Grace is for how many microseconds after its lease a claim must not be purged.
func Grace(req idempotency.ClaimRequest) int64 {
	return Micros(max(req.Lease, req.Retention, minGrace))
}

// TraceKept is for how many microseconds the trace of a released claim is kept.
func TraceKept() int64 { return Micros(minGrace) }

// Micros rounds up, so that what is positive stays so.
func Micros(d time.Duration) int64 {
	n := int64(d / time.Microsecond)
	if d%time.Microsecond > 0 {
		n++
	}
	return n
}

// duration converts microseconds; what is too long for a Duration becomes the longest.
func duration(micros int64) time.Duration {
	if micros > math.MaxInt64/int64(time.Microsecond) {
		return math.MaxInt64
	}
	return time.Duration(micros) * time.Microsecond
}
