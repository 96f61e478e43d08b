// Package pgstore keeps the state of patterns in PostgreSQL 12 or later, beside the business data: what is written in
// one transaction with them is there with them, or not at all.
//
// Each operation is one statement on one row, by the clock of the server, in one round trip; a replayed result costs no
// write. Take-overs of lapsed records and answers that need a second look take another. Nothing is kept in the session
// and nothing is listened to, so that all of it works behind PgBouncer in transaction mode. There, prepared statements
// need PgBouncer 1.21 with max_prepared_statements, or another default_query_exec_mode of the pool, such as exec.
//
// # What PostgreSQL has to promise
//
// A claim that PostgreSQL forgets can be acquired a second time. With synchronous_commit off a crash of the server may
// lose what was acknowledged, and so may a failover to a replica that is not synchronous. The table must not be read
// from replicas, which lag, and not be unlogged.
package pgstore
