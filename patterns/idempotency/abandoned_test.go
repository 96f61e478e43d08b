package idempotency_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steadyfx/steady/patterns/idempotency"
	"github.com/steadyfx/steady/patterns/timeout"
)

// Two charges ran at once for one key: the first call had returned, but what it had begun had not.
func TestKeyOfWhatStillRunsIsNotGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limit, err := timeout.New("charge", timeout.Config{Timeout: time.Second, Detached: true})
		if err != nil {
			t.Fatal(err)
		}
		const lease = 10 * time.Second
		g, events := newGuard(t, newStore(t), idempotency.Config{Lease: lease})
		var running, overlaps atomic.Int32
		pay := func() error {
			_, err := idempotency.Do(t.Context(), g, charge("k"), func(ctx context.Context) (int, error) {
				return 1, limit.Execute(ctx, func(context.Context) error {
					if running.Add(1) > 1 {
						overlaps.Add(1)
					}
					time.Sleep(lease - time.Second)
					running.Add(-1)
					return nil
				})
			})
			return err
		}
		timesOut := func() {
			if err := pay(); !errors.Is(err, timeout.ErrTimeout) {
				t.Errorf("got %v, want a timeout", err)
			}
		}
		timesOut()
		wantError[*idempotency.ConflictError](t, pay())
		time.Sleep(lease)
		timesOut()
		wantEqual(t, "overlaps", overlaps.Load(), 0)
		events.want(t, "idempotency.conflict")
		time.Sleep(lease)
	})
}
