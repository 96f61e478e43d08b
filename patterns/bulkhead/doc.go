// Package bulkhead bounds how many calls of an operation run at once, so that a slow dependency cannot take up every
// goroutine and connection of a program.
//
// A [Bulkhead] has a number of slots and a bounded queue. A call that finds all slots taken waits in the queue, first
// come, first served, for a limited time and no longer than its context lives; a call that finds the queue full too is
// rejected at once. A slot that becomes free goes to the first in the queue directly: nobody can overtake. A call may
// weigh more than one slot ([Bulkhead.AcquireN]), and both numbers can be changed while calls run ([Bulkhead.Resize]).
//
// An [Adaptive] is a bulkhead that finds its number of slots by itself, from how long calls take and whether they
// succeed, by one of three algorithms: [AIMD], [Gradient2] or [Vegas].
//
// While a slot is free a call takes no lock, sets no timer and allocates nothing; one of an Adaptive takes a mutex for
// a few nanoseconds when it ends. No goroutine is ever started.
package bulkhead
