// Package circuitbreaker stops calls to a dependency that fails, so that callers fail fast and the dependency can
// recover, and finds out by a few probes when it has.
//
// A [Breaker] is closed at first: calls go through and are counted. It opens after a number of failures in a row, or
// when too large a fraction of the calls in a sliding window, of time or of the last calls, has failed or was slow.
// While it is open, calls are rejected with an [*OpenError]. When the recovery timeout has passed it is half-open: a few
// calls at a time go through as probes. When enough of them have succeeded it closes; when one fails it opens again, if
// so configured for longer each time. A dry run does all of it but reject.
//
// A [Registry] holds breakers by name. It can change their configuration while calls go through them, and share their
// state with other replicas of the service, by [NewDistributedBackend].
//
// # What can be relied on
//
// A result counts for the generation of the circuit that admitted the call: a slow call from before the circuit opened
// neither closes nor reopens it. A probe that panics, calls runtime.Goexit, is cancelled or never returns gives its
// place back, the last by a lease. Callers that go away count as neither success nor failure, and so do rejections by
// other policies. States are derived from the monotonic clock, so that what a dashboard shows needs no traffic to be
// true. Transitions are announced in order, outside of any lock.
//
// A closed breaker takes no lock and, unless Config.Timeout bounds each call, allocates nothing: with a window of time a
// call costs one read of the clock and one atomic addition, with a window of calls no read of the clock and two atomic
// operations. To measure durations costs another read. Rates are compared exactly, on integers.
package circuitbreaker
