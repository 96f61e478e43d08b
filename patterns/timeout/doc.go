// Package timeout bounds the time of operations.
//
// A [Policy] runs an operation under a context that ends after a limit, and reports an operation that fails after
// that as an [*Error]. A [Manager] holds a limit for each of many operations by name.
//
// # Cooperation
//
// The limit is told to the operation through its context, and Execute returns when the operation does: an operation
// that ignores its context runs as long as it likes. In return no goroutine is started, nothing goes on behind the
// caller's back, and a panic reaches the caller. An operation that succeeds is a success, however late.
//
// Where an operation cannot be made to honor its context, a policy can be detached: [WithDetached] or Config.Detached.
// It runs the operation on another goroutine and returns at the limit in any case. An operation that still runs then is
// abandoned: it is counted until it ends ([Policy.Abandoned]), its value is not seen by [patterns.Do], and its end, a
// panic included, is announced by [hooks.AbandonedEnded] and harms nobody. Nothing stops it, so put a bulkhead inside of
// a detached timeout: its slots are taken for as long as operations run, which bounds how many are abandoned.
//
// # The context
//
// The context behaves like one of [context.WithTimeout], but it has no timer, no channel and no link to its parent
// until somebody asks for its Done channel. From then on it is one of the standard library's, so that derived contexts
// attach to it without a goroutine of their own.
//
// Two things can be told apart from [context.WithTimeout], both only if nobody asked for Done, or was told by Err that
// the context has ended, while it mattered. If the limit has passed and the parent has been canceled, in whatever
// order, the context has ended because of its parent. And once the operation has returned, the context is canceled,
// whether or not it had ended before.
package timeout
