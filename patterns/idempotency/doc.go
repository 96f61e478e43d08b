// Package idempotency runs an action once for a key, however often it is asked to: a [Guard] around functions ([Do],
// [Wrap], [Process]) and a [Middleware] around HTTP handlers, on any [Store].
//
// # What is promised
//
// Of all calls with one operation, scope and key, one at a time acts. Once it has succeeded, its result is kept for
// Config.TTL, or Call.TTL, and is the answer to every later call; if it fails, the key is given back and the next call
// acts again, unless the failure is one that [WithRecordedErrors] makes a result. A call that comes while another one
// is acting waits for it for up to Config.Wait and then gets a [*ConflictError]; one with the same key and another
// payload gets a [*DuplicateRequestError], whatever the state of the first.
//
// # What is not
//
// No store can make an effect outside of it happen exactly once. Whoever acts holds a claim for Config.Lease, and
// extends it while it acts. If its process dies, or cannot reach the store until the lease is over, the next call acts
// again, although the first one may have done a part of the work, or all of it. Hand the key on to systems that know
// idempotency keys themselves, and the fence to those that can refuse a lower one than they have seen: [CallOf] and
// [FenceOf] find both in the context of the function.
//
// When the store cannot be asked, nothing runs, unless Config.FailOpen says that running twice is the lesser evil.
package idempotency
