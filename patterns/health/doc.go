// Package health asks a program, and what it depends on, how it is, and answers probes over HTTP.
//
// A [Manager] holds checks by name. [Manager.Run] runs one, [Manager.RunAll] runs all at once, and three handlers tell
// the result: [Manager.LiveHandler] for /livez, [Manager.ReadyHandler] for /readyz and [Manager.HealthHandler] for
// /healthz. Checks come and go at any time: what has to start or to drain first registers a critical check that is
// unhealthy, and takes it away when it may be counted on.
//
// # Runs
//
// A check is run when somebody asks, never by itself, and on a goroutine of its own. All who ask at the same time share
// one run, and its result is given again until it is Config.MaxAge old, so that many probes are not many requests to a
// dependency. A run belongs to nobody: that the one who began it goes away does not fail it for the others.
//
// A run is bounded by the timeout of its check, even if the check ignores its context. Such a check is not run a second
// time beside itself: it stays unhealthy until it has ended, and costs no more than it did. A panic is an unhealthy
// result.
//
// Kubernetes gives a probe one second unless told otherwise. Give critical checks less than the probe has, so that it
// gets an answer and not a timeout of its own.
//
// # From checks to the system
//
// The first that is true says how the system is:
//
//   - unhealthy: a critical check is unhealthy;
//   - unknown: a critical check is unknown;
//   - degraded: a check is degraded, or one that is not critical is unhealthy or unknown;
//   - healthy: all checks are healthy, or there is none.
//
// # Secrets
//
// The error of a driver may hold an address, a user, even a password. So the error of a check is in no page, no JSON
// and no text of a result: it is for code, in Result.Err, and for [WithOnChange], to be logged. What is shown is the
// message that the author of the check wrote for it, and details only if the handler was made with [WithDetails].
package health
