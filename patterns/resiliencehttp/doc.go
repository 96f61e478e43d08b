// Package resiliencehttp puts any patterns.Policy, such as a retry, a circuit breaker or a whole pipeline, around HTTP:
// [Transport] around the requests of a client, [Handler] around those that a server answers.
//
// # Clients
//
// A response can be a failure: by default 429 and 5xx, but not 501, are failures to the policy, as a [*StatusError] that
// knows what Retry-After asked for. So is a 409 with Retry-After to a request with an Idempotency-Key, because an attempt
// before it is still being carried out: it is tried again, but a circuit breaker does not count it, for nothing is wrong
// with the server. If the policy gives up after such a response, the caller gets it, with its body open, as if there were
// no policy.
//
// Only requests that may be repeated are sent again: those whose method is idempotent or that carry an Idempotency-Key,
// which [WithIdempotencyKeys] makes for those that have none, and whose body can be had again. Discarded responses are
// drained, so that their connection can be used again, and closed. Time limits of the policy hold until the body of the
// response has been read or closed: a body does not break off because the policy has returned, and does not go on after
// its deadline.
//
// # Servers
//
// A response with a status of 5xx is a failure. What the policy refuses is answered with a problem (RFC 9457) and
// Retry-After: 429 by a rate limit, 503 otherwise. A rate limit refuses at once, unless it has a MaxWait or the request a
// deadline. A handler that ran out of time without a response becomes 504. Responses are not buffered.
package resiliencehttp
