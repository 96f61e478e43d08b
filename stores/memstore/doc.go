// Package memstore keeps the state of patterns in the memory of the process. It is complete and exact, it starts no
// goroutine, and it forgets everything when the process ends: replicas that must agree need a shared store.
//
// Time is monotonic and expiry is exact to the nanosecond, also in a testing/synctest bubble.
package memstore
