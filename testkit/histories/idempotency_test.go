package histories

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/steadyfx/steady/patterns/idempotency"
	"github.com/steadyfx/steady/stores/memstore"
)

func TestRightStorePasses(t *testing.T) {
	for name, spoil := range map[string]func(*memstore.Idempotency) idempotency.Store{
		"as it is":                    func(m *memstore.Idempotency) idempotency.Store { return m },
		"calls are lost on both ways": func(m *memstore.Idempotency) idempotency.Store { return &lossy{m} },
	} {
		t.Run(name, func(t *testing.T) {
			Idempotency(t, func(t *testing.T) idempotency.Store { return spoil(memory(t)) }, Options{})
		})
	}
}

// TestGetThenSetIsFound is the proof of the checker: the store that looks and then writes, as people write it first, is
// right as long as nobody comes in between.
func TestGetThenSetIsFound(t *testing.T) {
	for _, tc := range []struct {
		run  check
		want string
	}{
		{linearizable, "no order of the operations explains"},
		{withinLeases, "acted for the key at the same time"},
	} {
		report := finds(t, tc.want, tc.run, &getThenSet{memory(t)})
		if report == "" {
			t.Errorf("a store that gets and then sets passes: nothing says %q", tc.want)
		}
		t.Log(report)
	}
}

func TestEveryMistakeIsFound(t *testing.T) {
	for name, tc := range map[string]struct {
		run   check
		want  string // in the report
		spoil func(m *memstore.Idempotency) idempotency.Store
	}{
		"anybody completes": {
			linearizable, "no order", func(m *memstore.Idempotency) idempotency.Store { return &anybodyCompletes{m} },
		},
		"fingerprints are not kept": {
			linearizable, "no order", func(m *memstore.Idempotency) idempotency.Store { return &noPrints{m} },
		},
		"results get lost": {
			linearizable, "no order", func(m *memstore.Idempotency) idempotency.Store { return &forgetful{m} },
		},
		"errors of its own": {
			linearizable, "no store may answer", func(m *memstore.Idempotency) idempotency.Store { return &rude{m} },
		},
		"late owners complete": {
			withinLeases, "had taken over", func(m *memstore.Idempotency) idempotency.Store { return &anybodyCompletes{m} },
		},
		"late owners extend": {
			withinLeases, "had taken over", func(m *memstore.Idempotency) idempotency.Store { return &lateOwnersExtend{m} },
		},
		"fences start anew": {
			withinLeases, "was followed by", func(m *memstore.Idempotency) idempotency.Store { return &sameFence{m} },
		},
		"results get lost within leases": {
			withinLeases, "and lost", func(m *memstore.Idempotency) idempotency.Store { return &forgetful{m} },
		},
		"leases are too short": {
			withinLeases, "at the same time", func(m *memstore.Idempotency) idempotency.Store { return &scaled{m, 0.2} },
		},
		"leases are too long": {
			withinLeases, "longer than a lease", func(m *memstore.Idempotency) idempotency.Store { return &scaled{m, 3} },
		},
		"leases never end": {
			withinLeases, "still blocked", func(m *memstore.Idempotency) idempotency.Store { return &stuck{scaled{m, 1e6}} },
		},
		"results out of nowhere": {
			withinLeases, "nobody has stored", func(m *memstore.Idempotency) idempotency.Store { return &inventive{m} },
		},
		"errors of its own within leases": {
			withinLeases, "no store may answer", func(m *memstore.Idempotency) idempotency.Store { return &rude{m} },
		},
	} {
		t.Run(name, func(t *testing.T) {
			if finds(t, tc.want, tc.run, tc.spoil(memory(t))) == "" {
				t.Errorf("nothing says %q", tc.want)
			}
		})
	}
}

func TestDisturbanceRunsWhileClientsWork(t *testing.T) {
	calls := 0 // in the goroutine of the test
	o := Options{Clients: 2, Operations: 2, Disturb: func(*rand.Rand) { calls++ }}
	w := &world{TB: t, store: memory(t), o: o.withDefaults()}
	w.runSome(withinLeases, 0, 2)
	if calls == 0 {
		t.Error("nobody disturbed")
	}
}

// getThenSet claims in two steps, as far apart as two round trips are.
type getThenSet struct{ *memstore.Idempotency }

func (s *getThenSet) Claim(ctx context.Context, req idempotency.ClaimRequest) (idempotency.Claim, error) {
	_, found, err := s.GetRecord(ctx, req.Key)
	pause(100 * time.Microsecond)
	if err != nil || found {
		return s.Idempotency.Claim(ctx, req)
	}
	if err := s.Delete(ctx, req.Key); err != nil { // what SET does without NX
		return idempotency.Claim{}, err
	}
	return s.Idempotency.Claim(ctx, req)
}

// lossy loses calls before they reach the store, and answers after.
type lossy struct{ *memstore.Idempotency }

func (s *lossy) lose(call func() error) error {
	lost := &idempotency.BackendError{Backend: "lossy", Op: "call", Err: context.DeadlineExceeded}
	if rand.IntN(20) == 0 {
		return lost
	}
	if err := call(); err != nil || rand.IntN(20) > 0 {
		return err
	}
	return lost
}

func (s *lossy) Claim(ctx context.Context, req idempotency.ClaimRequest) (c idempotency.Claim, err error) {
	err = s.lose(func() (err error) { c, err = s.Idempotency.Claim(ctx, req); return err })
	return c, err
}

func (s *lossy) Complete(ctx context.Context, key string, token idempotency.Token, value []byte, ttl time.Duration) error {
	return s.lose(func() error { return s.Idempotency.Complete(ctx, key, token, value, ttl) })
}

func (s *lossy) Extend(ctx context.Context, key string, token idempotency.Token, lease time.Duration) error {
	return s.lose(func() error { return s.Idempotency.Extend(ctx, key, token, lease) })
}

func (s *lossy) Release(ctx context.Context, key string, token idempotency.Token) error {
	return s.lose(func() error { return s.Idempotency.Release(ctx, key, token) })
}

func (s *lossy) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	return s.lose(func() error { return s.Idempotency.Set(ctx, key, value, ttl) })
}

func (s *lossy) Delete(ctx context.Context, key string) error {
	return s.lose(func() error { return s.Idempotency.Delete(ctx, key) })
}

type anybodyCompletes struct{ *memstore.Idempotency }

func (s *anybodyCompletes) Complete(
	ctx context.Context, key string, _ idempotency.Token, value []byte, ttl time.Duration,
) error {
	return s.Set(ctx, key, value, ttl)
}

// lateOwnersExtend never tells anybody that a claim is lost.
type lateOwnersExtend struct{ *memstore.Idempotency }

func (s *lateOwnersExtend) Extend(ctx context.Context, key string, token idempotency.Token, lease time.Duration) error {
	_ = s.Idempotency.Extend(ctx, key, token, lease)
	return nil
}

type sameFence struct{ *memstore.Idempotency }

func (s *sameFence) Claim(ctx context.Context, req idempotency.ClaimRequest) (idempotency.Claim, error) {
	c, err := s.Idempotency.Claim(ctx, req)
	c.Fence, c.Token.Fence = 1, min(c.Token.Fence, 1)
	return c, err
}

// forgetful is a cache that gives up results when it likes.
type forgetful struct{ *memstore.Idempotency }

func (s *forgetful) Claim(ctx context.Context, req idempotency.ClaimRequest) (idempotency.Claim, error) {
	if _, found, _ := s.Idempotency.Get(ctx, req.Key); found && rand.IntN(3) == 0 {
		if err := s.Delete(ctx, req.Key); err != nil {
			return idempotency.Claim{}, err
		}
	}
	return s.Idempotency.Claim(ctx, req)
}

// scaled gives leases of another length than it was asked for.
type scaled struct {
	*memstore.Idempotency
	factor float64
}

func (s *scaled) Claim(ctx context.Context, req idempotency.ClaimRequest) (idempotency.Claim, error) {
	req.Lease = time.Duration(float64(req.Lease) * s.factor)
	return s.Idempotency.Claim(ctx, req)
}

// stuck promises that its leases end.
type stuck struct{ scaled }

func (s *stuck) Claim(ctx context.Context, req idempotency.ClaimRequest) (idempotency.Claim, error) {
	c, err := s.scaled.Claim(ctx, req)
	c.RetryAfter = min(c.RetryAfter, time.Millisecond)
	return c, err
}

type inventive struct{ *memstore.Idempotency }

func (s *inventive) Get(ctx context.Context, key string) ([]byte, bool, error) {
	return []byte("invented"), true, ctx.Err()
}

type rude struct{ *memstore.Idempotency }

func (s *rude) Claim(context.Context, idempotency.ClaimRequest) (idempotency.Claim, error) {
	return idempotency.Claim{}, context.Canceled
}

func (s *rude) CleanupExpired(context.Context, int) (int, error) { return 0, context.Canceled }

type noPrints struct{ *memstore.Idempotency }

func (s *noPrints) Claim(ctx context.Context, req idempotency.ClaimRequest) (idempotency.Claim, error) {
	req.Fingerprint = nil
	return s.Idempotency.Claim(ctx, req)
}
