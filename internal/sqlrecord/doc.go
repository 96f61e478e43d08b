// Package sqlrecord is what idempotency stores in SQL databases share: what the columns of a record mean, how a row
// answers a claim, and how a store waits.
//
// A record has these columns, of which times are microseconds of Unix time by the clock of the database:
//
//	key          SHA-256 of the key: of a fixed width, and free of what databases make of texts
//	state        Released, Pending or Complete
//	owner        of the claim, 16 random bytes
//	fence        time of the acquisition, or one more than the last fence of the record
//	fingerprint  of the payload; empty: none
//	created_at   when the key was acquired
//	stored_at    when the result was stored
//	expires_at   end of the lease or of the retention; Never: without expiry
//	purge_after  when the record may be removed, at or after expires_at
//	result       if complete
//
// A lapsed claim may be purged only some time after its lease, see Grace, so that its owner can still complete it. When
// a claim is completed in time, purge_after mostly stays: it has an index, which such an update does not touch.
package sqlrecord
