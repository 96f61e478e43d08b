// Package testkit tests applications that are built on Steady, without a server.
//
// [New] starts an application, with stubs around it: [Idempotency] keeps its records in memory whatever backend it is
// wired to, [Resilience] gives its policies the default configuration whatever its files say. A [Recorder] notes what
// happened. For tests that do want servers there is testkit/services.
//
// Time needs no stub: everything in Steady runs in the bubbles of testing/synctest.
package testkit
