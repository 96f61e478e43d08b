// Package fallback answers in another way when an operation has failed: from another source, with less, or with a
// default.
//
// A [Chain] runs the operation, and after a failure its steps in order until one of them gives a value: an
// [Alternative], a [Retry] of the operation under a policy, a [Degrade] to a fixed value. [Chain.On] puts a handler of
// its own to one kind of error, [WithDefault] sets what is left in the end. If nothing gave a value, an [*Error] holds
// every cause.
//
// A fallback hides failures from those who call it. It belongs outside of the other policies, so that a circuit breaker
// and a retry see the failures of the operation and not the answers of the fallback; hooks.FallbackUsed tells
// whoever should know.
package fallback
