// Package service is a service that takes payments: POST /payments charges an account at a payment provider, once for
// an Idempotency-Key.
//
//	request ── idempotency.Middleware ── Handler ── pipeline "provider" ── HTTP ── payment provider
//
// The middleware sees to it that one request with a key acts and all others get its answer. It cannot promise that
// nothing acts twice: a process may die, or lose the store, between the charge and the stored answer, and then the next
// request with the key acts again. What closes that gap is the key that the service hands on to the provider: it is made
// of the tenant and the Idempotency-Key and of nothing else, so that whoever acts again asks for the same charge.
package service
