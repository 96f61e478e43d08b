// Package storetest holds the conformance suites that every store must pass, those of this module and those of its
// users:
//
//	func TestConformance(t *testing.T) {
//		storetest.Idempotency(t, func(t *testing.T) idempotency.Store { return open(t) })
//	}
//
// What a suite checks is what the comment of the interface says, no more: stores may differ where it leaves room.
//
// [SkewedClient] adds what only a backend with a clock of its own can show. The other half of the proof is in
// testkit/histories: random histories, with the faults of testkit/faults, judged as a whole.
package storetest
