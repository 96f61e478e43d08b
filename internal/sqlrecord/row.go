package sqlrecord

import (
	"bytes"
	"errors"
	"time"

	"github.com/steadyfx/steady/patterns/idempotency"
)

// States of a record.
const (
	Released = 0 // absent for all but its owner, who may release it again
	Pending  = 1
	Complete = 2
)

// Row is a record as it was read. The zero value stands for an absent one.
type Row struct {
	State       int64
	Owner       []byte
	Fence       int64
	Fingerprint []byte
	Created     int64
	Stored      int64
	Expires     int64
	Result      []byte
	Now         int64 // the clock of the database when it was read
}

// ErrRow is in errors about a row that no store has written.
var ErrRow = errors.New("not a record of this version: see whether something else writes to the table")

// ErrTooLarge is in errors about a result that the database does not take, however often it is given it.
var ErrTooLarge = errors.New("the result is too large for the store")

// Check returns [ErrRow] for what cannot be.
func (r *Row) Check() error {
	known := r.State == Released || r.State == Pending || r.State == Complete
	if !known || r.Fence < 0 || r.Exists() && len(r.Owner) != len(idempotency.Token{}.Owner) {
		return ErrRow
	}
	return nil
}

// Exists reports whether there is a row at all.
func (r *Row) Exists() bool { return r.Fence != 0 }

// Live reports whether there is a record that keeps others from acquiring the key.
func (r *Row) Live() bool { return r.State != Released && r.Now < r.Expires }

// OwnedBy reports whether owner has the record in one of its states.
func (r *Row) OwnedBy(owner [16]byte) bool { return r.Exists() && bytes.Equal(r.Owner, owner[:]) }

// Repeats reports whether a call of owner that changed nothing has brought the record into the state it is in before,
// and its answer got lost, or, if the state is Pending, has found it just as it would have left it.
func (r *Row) Repeats(owner [16]byte, state int64) bool {
	return r.OwnedBy(owner) && r.State == state && (state != Complete || r.Live())
}

// Claim says what a claim finds, and nothing if the key is free. A claim that finds itself was acquired by an earlier
// attempt whose answer got lost.
func (r *Row) Claim(req idempotency.ClaimRequest, owner [16]byte) (c idempotency.Claim, found bool) {
	if !r.Live() {
		return idempotency.Claim{}, false
	}
	c.Fence = r.Fence
	switch {
	case r.State == Pending && r.OwnedBy(owner):
		c = Acquired(owner, r.Fence)
	case len(req.Fingerprint) > 0 && len(r.Fingerprint) > 0 && !bytes.Equal(req.Fingerprint, r.Fingerprint):
		c.Outcome = idempotency.Mismatch
	case r.State == Pending:
		c.Outcome, c.RetryAfter = idempotency.InProgress, max(duration(r.Expires-r.Now), time.Millisecond)
	default:
		c.Outcome, c.Value = idempotency.Done, r.Result
		c.Age = max(duration(r.Now-r.Stored), 0) // the clock may have been set back
		if r.Expires != Never {
			c.ExpiresIn = duration(r.Expires - r.Now)
		}
	}
	return c, true
}

// NextFence is that of a claim which takes the row over.
func (r *Row) NextFence() int64 { return max(r.Fence+1, r.Now) }

// Record is what GetRecord returns of the row.
func (r *Row) Record() (rec idempotency.Record, found bool) {
	if !r.Live() {
		return idempotency.Record{}, false
	}
	rec = idempotency.Record{
		Status: idempotency.StatusPending, Fingerprint: r.Fingerprint, Fence: r.Fence, CreatedAt: time.UnixMicro(r.Created),
	}
	if r.State == Complete {
		rec.Status, rec.Value = idempotency.StatusComplete, r.Result
	}
	if r.Expires != Never {
		rec.ExpiresAt = time.UnixMicro(r.Expires)
	}
	return rec, true
}

// Acquired is the answer to a claim that was acquired.
func Acquired(owner [16]byte, fence int64) idempotency.Claim {
	return idempotency.Claim{
		Outcome: idempotency.Acquired, Token: idempotency.Token{Owner: owner, Fence: fence}, Fence: fence,
	}
}
