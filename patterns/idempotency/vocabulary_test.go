package idempotency_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/idempotency"
)

func TestErrors(t *testing.T) {
	for _, test := range []struct {
		err  error
		code string
		says []string
	}{
		{&idempotency.DuplicateRequestError{Operation: "charge"}, "LEX_ERR_IDEM_002", []string{"charge", "use a new key"}},
		{&idempotency.StoreError{Backend: "redis", Op: "claim", Err: errBoom}, "LEX_ERR_IDEM_003",
			[]string{"redis", "claim", "boom"}},
		{&idempotency.ConflictError{Operation: "charge", RetryAfter: 1500 * time.Millisecond}, "LEX_ERR_IDEM_004",
			[]string{"charge", "retry in 1.5s"}},
		{idempotency.ErrClaimLost, "LEX_ERR_IDEM_004", []string{"claim lost"}},
		{&idempotency.BackendError{Backend: "redis", Op: "claim", Err: errBoom}, "LEX_ERR_IDEM_005",
			[]string{"redis is not available", "claim", "boom"}},
		{&idempotency.ConfigurationError{Err: errBoom}, "LEX_ERR_IDEM_006", []string{"boom"}},
	} {
		wantEqual(t, test.err.Error(), patterns.Code(test.err), test.code)
		if !errors.Is(test.err, idempotency.ErrIdempotency) || errors.Is(test.err, patterns.ErrResilience) {
			t.Errorf("%v is of the wrong kind", test.err)
		}
		for _, part := range append(test.says, "idempotency: ") {
			if !strings.Contains(test.err.Error(), part) {
				t.Errorf("%q does not say %q", test.err, part)
			}
		}
		if strings.Contains(test.err.Error(), "boom") && !errors.Is(test.err, errBoom) {
			t.Errorf("%v does not lead to its cause", test.err)
		}
	}
}

func TestNamesOfOutcomesAndStatuses(t *testing.T) {
	var got []string
	for o := range idempotency.Mismatch + 2 {
		got = append(got, o.String())
	}
	for s := range idempotency.StatusExpired + 2 {
		got = append(got, s.String())
	}
	wantEqual(t, "names", strings.Join(got, " "),
		"none acquired in_progress done mismatch none unknown pending complete expired unknown")
}

func TestRecordExpiresAtTheEndOfItsTime(t *testing.T) {
	end := time.Now()
	rec := idempotency.Record{Status: idempotency.StatusPending, ExpiresAt: end}
	wantEqual(t, "before", rec.StatusAt(end.Add(-1)), idempotency.StatusPending)
	wantEqual(t, "at the end", rec.StatusAt(end), idempotency.StatusExpired)
	rec.ExpiresAt = time.Time{}
	wantEqual(t, "without expiry", rec.StatusAt(end), idempotency.StatusPending)
}
