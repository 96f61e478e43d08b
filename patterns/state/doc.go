// Package state says what the replicas of a service need of a backend to share small values: a [Store], which reads a
// value, replaces it by compare-and-swap, and tells of changes. Circuit breakers use it to agree.
//
// A replica that wants to change a value reads it, decides, and swaps it for the version that it has read. If another
// was faster, it is told so and decides anew. No lock is held meanwhile, and no update is lost.
//
// A lease is a value with a time to live: who swaps it in where there is none holds it, extends it by swapping it again,
// and gives it back by deleting the version that it has written. When its time is up, it is absent for everybody.
package state
