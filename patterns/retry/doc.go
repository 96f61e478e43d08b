// Package retry runs an operation again after it failed, after a delay that grows from attempt to attempt and is
// varied at random.
//
// Not every failure is worth another attempt. Unless it is told otherwise, a [Policy] passes on, as they are, an error
// that another policy of this library made because it did not run the operation (patterns.ErrRejected: an open
// circuit, a full bulkhead), and the error of a first attempt during which the caller's context ended. A rejection
// that comes after an attempt that ran is wrapped, so that nobody reads from it that the operation was not run. A Policy
// never sleeps through a deadline: if the caller's comes before the end of the delay, the call returns at once.
//
// Delays grow as [Backoff] says and are varied as [JitterKind] says. An error that knows better (patterns.RetryIn), such
// as that of an open circuit or of a server that sent Retry-After, makes the delay as long as it asks for, if that is
// longer, and then longer at random by up to the fraction of Jitter, so that callers that were told the same do not
// come together. A value that will not do can be made an error by [OnResult].
//
// Retries multiply the load on a dependency just when it is failing. A [Budget], shared by all policies for one
// dependency, bounds them to a share of the calls.
//
// Only repeat what may be repeated. An operation that changes something should carry an idempotency key.
package retry
