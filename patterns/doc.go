// Package patterns is the vocabulary that every resilience pattern of Steady shares: an [Operation] is run by a
// [Policy], policies are put around one another with [Compose], and [Do] and [Wrap] carry typed values through them.
//
// The packages below it (circuitbreaker, retry, bulkhead, timeout, pipeline and others) each hold one pattern. They
// depend on the standard library only, so they can be used without Fx, a configuration file or a store.
//
// # Errors
//
// Every error that a policy makes satisfies errors.Is(err, [ErrResilience]) and has a machine code, which [Code]
// finds. An error that means "the operation was not run" also satisfies errors.Is(err, [ErrRejected]). Errors of the
// operation itself are passed on as they are, or wrapped so that errors.Is and errors.As still find them. [RetryIn]
// finds when it makes sense to come again.
package patterns
