package service_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/fx"

	"github.com/steadyfx/steady/patterns/idempotency"
)

// spy sees what is stored.
type spy struct {
	idempotency.Store

	plain atomic.Int64 // results that can be read
}

func (s *spy) Complete(ctx context.Context, key string, token idempotency.Token, value []byte, ttl time.Duration) error {
	if bytes.Contains(value, []byte("acct-1")) || bytes.Contains(value, []byte("pay_")) {
		s.plain.Add(1)
	}
	return s.Store.Complete(ctx, key, token, value, ttl)
}

func TestAnswersAreEncryptedIfThereIsAKey(t *testing.T) {
	key := base64.StdEncoding.EncodeToString(make([]byte, 32))
	for key, want := range map[string]int64{key: 0, "": 1} {
		var stored *spy
		w := newWorldWith(t, patient, charges, map[string]any{"answer_key": key},
			fx.Decorate(func(store idempotency.Store) idempotency.Store {
				stored = &spy{Store: store}
				return stored
			}))
		first, second := w.post(t, "a", "k1", order), w.post(t, "a", "k1", order)
		if first.Code != http.StatusCreated || second.Header().Get("Idempotent-Replayed") != "true" ||
			first.Body.String() != second.Body.String() {
			t.Errorf("got %d %s, then %d %s", first.Code, first.Body, second.Code, second.Body)
		}
		if got := stored.plain.Load(); got != want {
			t.Errorf("with the key %q: %d answers are stored in plain text, want %d", key, got, want)
		}
	}
}
