package storetest

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/steadyfx/steady/patterns/idempotency"
)

// calls is every operation with arguments in range.
func (s *suite) calls(key string, token idempotency.Token) map[string]func(ctx context.Context) error {
	return map[string]func(ctx context.Context) error{
		"claim": func(ctx context.Context) error {
			_, err := s.Claim(ctx, idempotency.ClaimRequest{Key: key, Lease: long, Fingerprint: []byte(key)})
			return err
		},
		"complete": func(ctx context.Context) error { return s.Complete(ctx, key, token, []byte(key), long) },
		"extend":   func(ctx context.Context) error { return s.Extend(ctx, key, token, 2*long) },
		"release":  func(ctx context.Context) error { return s.Release(ctx, key, token) },
		"get":      func(ctx context.Context) error { _, _, err := s.Get(ctx, key); return err },
		"record":   func(ctx context.Context) error { _, _, err := s.GetRecord(ctx, key); return err },
		"set":      func(ctx context.Context) error { return s.Set(ctx, key, []byte(key), long) },
		"delete":   func(ctx context.Context) error { return s.Delete(ctx, key) },
		"acquire":  func(ctx context.Context) error { _, err := s.Acquire(ctx, key, long); return err },
		"ping":     s.Ping,
	}
}

// outOfRange is every argument that must be refused, one at a time.
func (s *suite) outOfRange(key string, token idempotency.Token) map[string]error {
	ctx := s.Context()
	claim := func(req idempotency.ClaimRequest) error {
		req.Key = key
		_, err := s.Claim(ctx, req)
		return err
	}
	acquire := func(ttl time.Duration) error { _, err := s.Acquire(ctx, key, ttl); return err }
	return map[string]error{
		"claim without a lease":                claim(idempotency.ClaimRequest{}),
		"claim with a negative lease":          claim(idempotency.ClaimRequest{Lease: -long}),
		"claim with a lease too short":         claim(idempotency.ClaimRequest{Lease: time.Millisecond - 1}),
		"claim with a negative retention":      claim(idempotency.ClaimRequest{Lease: long, Retention: -1}),
		"claim with a fingerprint too long":    claim(idempotency.ClaimRequest{Lease: long, Fingerprint: make([]byte, 65)}),
		"complete with a negative ttl":         s.Complete(ctx, key, token, []byte(key), -1),
		"extend without a lease":               s.Extend(ctx, key, token, 0),
		"extend with a negative lease":         s.Extend(ctx, key, token, -long),
		"extend with a lease too short":        s.Extend(ctx, key, token, time.Microsecond),
		"set with a negative ttl":              s.Set(ctx, key, []byte(key), -1),
		"acquire without a ttl":                acquire(0),
		"acquire with a negative ttl":          acquire(-1),
		"acquire with a ttl that is too short": acquire(time.Microsecond),
	}
}

func argumentsOutOfRangeAreRefused(s *suite) {
	owner := s.acquire("held", long)
	before := s.record("held")
	for key, token := range map[string]idempotency.Token{"absent": {}, "held": owner} {
		for what, err := range s.outOfRange(key, token) {
			var configuration *idempotency.ConfigurationError
			if !errors.As(err, &configuration) || !errors.Is(err, idempotency.ErrIdempotency) {
				s.Errorf("%s: got error %v, want a *ConfigurationError", what, err)
			}
		}
	}
	s.absent("absent", "after refused calls")
	if after := s.record("held"); after.Fence != before.Fence || !after.ExpiresAt.Equal(before.ExpiresAt) {
		s.Errorf("refused calls changed the record from %+v to %+v", before, after)
	}
}

func contextThatIsOverIsObeyed(s *suite) {
	cancelled, cancel := context.WithCancel(s.Context())
	cancel()
	late, cancelLate := context.WithDeadline(s.Context(), time.Now().Add(-time.Second))
	defer cancelLate()
	owner := s.acquire("held", long)
	for ctx, want := range map[context.Context]error{cancelled: context.Canceled, late: context.DeadlineExceeded} {
		for key, token := range map[string]idempotency.Token{"absent": {}, "held": owner} {
			for op, call := range s.calls(key, token) {
				var unavailable *idempotency.BackendError
				if err := call(ctx); !errors.Is(err, want) || !errors.As(err, &unavailable) {
					s.Errorf("%s: got error %v, want a *BackendError with %v", op, err, want)
				}
			}
		}
		if _, err := s.CleanupExpired(ctx, 10); err != nil && !errors.Is(err, want) {
			s.Errorf("cleanup: got error %v, want %v or none", err, want)
		}
	}
	s.absent("absent", "after calls with a context that is over")
	s.must(s.Complete(s.Context(), "held", owner, []byte("result"), long), "complete after calls with a context that is over")
	s.holds("held", "result", "after calls with a context that is over")
}

// cancelledCallsLeaveTheStoreUsable ends calls at any moment, also in the middle. Each of them may have been carried out,
// but none keeps a connection, a lock or a claim for good.
func cancelledCallsLeaveTheStoreUsable(s *suite) {
	const rounds, workers = 8, 16
	keys := make([]string, workers)
	for i := range keys {
		keys[i] = strconv.Itoa(i)
	}
	atOnce(workers, func(i int) {
		for round := range rounds {
			ctx, cancel := context.WithTimeout(s.Context(), time.Duration(round*round)*100*time.Microsecond)
			c, err := s.Claim(ctx, idempotency.ClaimRequest{Key: keys[i], Lease: short, Retention: short})
			if err == nil && c.Outcome == idempotency.Acquired {
				err = s.Complete(ctx, keys[i], c.Token, nil, short)
			}
			cancel()
			var unavailable *idempotency.BackendError
			if err != nil && !errors.As(err, &unavailable) && !errors.Is(err, idempotency.ErrClaimLost) {
				s.Errorf("a call that was cancelled: got error %v, want a *BackendError", err)
			}
		}
	})
	for tries := 0; ; tries++ { // what was cancelled may still be on its way
		s.lapse(keys...)
		free := 0
		for _, key := range keys {
			if s.claim(key).Outcome == idempotency.Acquired {
				free++
			}
		}
		if free == len(keys) {
			return
		}
		if tries == 100 {
			s.Fatalf("%d of %d keys are blocked by calls that were cancelled", len(keys)-free, len(keys))
		}
		for _, key := range keys {
			s.must(s.Delete(s.Context(), key), "delete")
		}
	}
}

// errorsAreDiscreet looks for the key, which is the value and the fingerprint as well, in every error it can provoke.
func errorsAreDiscreet(s *suite) {
	const secret = "s3cr3t"
	over, cancel := context.WithCancel(s.Context())
	cancel()
	errs := s.outOfRange(secret, idempotency.Token{})
	for op, call := range s.calls(secret, idempotency.Token{}) {
		errs[op] = call(over)
		errs[op+" as a stranger"] = call(s.Context())
	}
	for what, err := range errs {
		if err != nil && strings.Contains(err.Error(), secret) {
			s.Errorf("%s: the error tells the key or the value: %v", what, err)
		}
	}
}

func pingAnswers(s *suite) { s.must(s.Ping(s.Context()), "ping") }
