// Package hooks says what happened: event types, and the [Bus] that carries them from the patterns to whoever wants
// to know.
//
// There are two ways to listen. [On] runs a function in line, on the caller's path and in the order of the events, so
// it must be quick. [Subscribe] runs it off that path, behind a bounded queue that drops and counts what does not
// fit. Either way a panic of the listener is contained, counted and announced as [ListenerPanicked].
//
// Events hold names, counts and digests, never an idempotency key, a stored result or an error's secret parts beyond
// its message.
package hooks
