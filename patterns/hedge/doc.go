// Package hedge starts an operation a second time, or more often, when it takes long, and takes the first success: the
// few calls that would be slow are answered by an attempt that is not.
//
// A [Policy] waits for a fixed delay or, better, for a quantile of the times that recent calls took: with a quantile of
// 0.95, one call in 20 gets a second attempt. Hedging is for slowness, not for failure: when all attempts that were
// started have failed, the call has failed; what should happen then is a matter for a retry around the hedge. Every
// attempt is one more request to a dependency that may be slow because it has too many of them, so give the policy the
// budget that the retries of the same dependency use. Only hedge what may be done twice.
//
// # Attempts
//
// Each attempt runs on a goroutine of its own. When one succeeds, or the caller's context ends, Execute returns at once
// and the context of all attempts is canceled, with [ErrOver] as its cause. An attempt that does not heed its context
// goes on behind the caller's back until it ends by itself; [Stats] counts those. Its value, if there is one, is seen by
// nobody: patterns.Do and patterns.Wrap return that of the attempt that won.
//
// A panic or a runtime.Goexit of any attempt reaches the caller, as long as there is one.
package hedge
