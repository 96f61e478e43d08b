// Package provider is a payment provider to practise on: an HTTP server that is healthy, fails, stalls and cuts
// connections in phases, before and after it has charged.
//
// Like real providers it honours an Idempotency-Key: it charges once for a key and answers every later request with
// the same charge, also if the first answer never arrived.
package provider
