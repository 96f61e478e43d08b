// Package sqlitestore keeps the state of patterns in a SQLite file: the durable store of a service that needs no server
// for it. It is written in Go and needs no C compiler.
//
// The file survives restarts and crashes, and processes of one machine can share it. It must lie on a disk of that
// machine: SQLite's locks and its shared memory do not work over a network.
//
// # What is durable
//
// Each write is on the disk before it is acknowledged (journal mode WAL with synchronous=FULL): what an operating system
// keeps in memory goes with the power, and a claim that is forgotten can be acquired a second time. The price is one
// flush of the disk for each write, and all writes wait for one another. Reads, and so replays of results, wait for
// nobody and write nothing.
package sqlitestore
