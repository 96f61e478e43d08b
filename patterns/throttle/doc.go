// Package throttle keeps a program from calling more often than it should.
//
// A [Throttler] is a rate limiter that is chosen by configuration, and a [Registry] holds them by name, so that all who
// call one dependency share one limit. See package ratelimit for the strategies.
//
// An [Adaptive] needs no limit: it learns from the answers how much the dependency takes, and rejects a part of the
// calls on the side of the client when much of what is sent comes back as a failure.
package throttle
