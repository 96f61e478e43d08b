package pgstore

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/steadyfx/steady/patterns/idempotency"
)

// claimant is who asks for a key: with the same owner however often it has to ask.
type claimant struct {
	key         []byte
	owner       [16]byte
	fingerprint []byte // nil: none
	lease       pgtype.Interval
	retention   pgtype.Interval
}

func newClaimant(req idempotency.ClaimRequest) claimant {
	c := claimant{
		key: digest(req.Key), owner: newOwner(), lease: interval(req.Lease), retention: interval(req.Retention),
	}
	if len(req.Fingerprint) > 0 {
		c.fingerprint = req.Fingerprint
	}
	return c
}

// querier is a [Pool] or a [pgx.Tx].
type querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// claim asks until there is an answer. Another round means that somebody has come first, so that the next one finds
// what that one has left.
func (s *Idempotency) claim(ctx context.Context, db querier, who claimant) (idempotency.Claim, error) {
	args := []any{who.key, uuid(who.owner), who.fingerprint, who.lease, who.retention}
	for {
		var (
			outcome int32
			fence   int64
			age     float64
			left    float64
			value   []byte
		)
		err := db.QueryRow(ctx, s.sql.claim, args...).Scan(&outcome, &fence, &age, &left, &value)
		if err == nil && outcome == lapsed {
			outcome = int32(idempotency.Acquired)
			err = db.QueryRow(ctx, s.sql.takeOver, append(args, fence)...).Scan(&fence)
		}
		if errors.Is(err, pgx.ErrNoRows) {
			continue
		}
		if err != nil {
			return idempotency.Claim{}, err
		}
		c := idempotency.Claim{Outcome: idempotency.Outcome(outcome), Fence: fence}
		switch c.Outcome {
		case idempotency.Acquired:
			c.Token = idempotency.Token{Owner: who.owner, Fence: fence}
		case idempotency.InProgress:
			c.RetryAfter = max(seconds(left), time.Millisecond)
		case idempotency.Done:
			c.Value, c.Age = value, max(seconds(age), 0) // the server's clock may have been set back
			if !math.IsInf(left, 1) {
				c.ExpiresIn = max(seconds(left), time.Microsecond) // which may have passed since it was found to live
			}
		}
		return c, nil
	}
}

// seconds rounds to the microsecond; what is too long for a Duration becomes the longest.
func seconds(s float64) time.Duration {
	micros := math.Round(s * 1e6)
	if micros >= math.MaxInt64/1000 {
		return math.MaxInt64
	}
	return time.Duration(micros) * time.Microsecond
}
