// Package bulkhead bounds how many calls of an operation run at once, so that a slow dependency cannot take up every
// goroutine and connection of a program.
//
// A [Bulkhead] has a number of slots and a bounded queue. A call that finds all slots taken waits in the queue, first
// come, first served, for a limited time and no longer than its context lives; a call that finds the queue full too is
// rejected at once. A slot that becomes free goes to the first in the queue directly: nobody can overtake.
//
// While a slot is free a call takes no lock, sets no timer and allocates nothing. No goroutine is ever started.
package bulkhead
