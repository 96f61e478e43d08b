// Package ratelimit bounds how many calls are made in a time.
//
// A [TokenBucket] allows a steady rate and short bursts above it, in constant memory; while tokens are there a call
// takes no lock and allocates nothing. A [SlidingWindow] never allows more than its limit in any window of time, which
// a token bucket does not promise: a full bucket and what flows in meanwhile can come to nearly twice the limit in one
// period. It keeps the time of each call in the window. A [SlidingCounter] comes near to that in constant memory.
//
// A [Distributed] limits all who share a [Store] together, by one of these algorithms. The store decides; when it does
// not answer, [FailMode] says what happens.
//
// A [Keyed] has a token bucket for each key, in bounded memory; it can be asked (TryAcquire) and put around an operation
// (For), but not waited for.
//
// The others can be asked (TryAcquire), waited for (Acquire), and put around an operation (Execute). Who waits does so
// first come, first served; nobody overtakes. How long it would take is known beforehand, so a call that has not that
// much time is refused at once. Who stops waiting takes nothing with it: those behind move up. A limiter without a
// MaxWait lets a call wait as long as its context lives, unless that is one of patterns.WithBoundedWaits: then it refuses
// a call that has no deadline rather than let it wait. So resiliencehttp.Handler answers 429 by default.
//
// No goroutine is ever started. Time is that of the monotonic clock; where a store decides, that of the store.
package ratelimit
