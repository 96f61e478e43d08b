package pgstore_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/steadyfx/steady/patterns/idempotency"
	"github.com/steadyfx/steady/stores/pgstore"
)

// BenchmarkIdempotency has before each operation the least that a program can do instead, by the same number of clients:
// an INSERT, an UPDATE or a SELECT by key, in a table of the same layout, of rows of the same size. The store is meant
// to be at least 0.8 times as fast. Where commits cost next to nothing, as on the server of the tests, a claim is not,
// nor is a replay anywhere: PostgreSQL sets up the insert and the select of the statement even if it needs only one.
func BenchmarkIdempotency(b *testing.B) {
	for _, clients := range []int{1, 16} {
		b.Run("clients="+strconv.Itoa(clients), func(b *testing.B) {
			for _, o := range []struct {
				name         string
				prepare, run []operation
			}{
				{"insert", nil, []operation{insert}},
				{"claim", nil, []operation{claimNew}},
				{"update", []operation{insert}, []operation{update}},
				{"complete", []operation{claimNew}, []operation{completeOwn}},
				{"insert+update", nil, []operation{insert, update}},
				{"claim+complete", nil, []operation{claimNew, completeOwn}},
				{"select", []operation{insert, update}, []operation{read}},
				{"replay", []operation{claimNew, completeOwn}, []operation{replay}},
			} {
				b.Run(o.name, func(b *testing.B) {
					w := newWorkload(b, clients)
					w.do(b, o.prepare)
					b.ReportAllocs()
					b.ResetTimer()
					w.do(b, o.run)
				})
			}
		})
	}
}

// workload is a store, and a table like its own for what programs do without it.
type workload struct {
	clients            int
	pool               *pgxpool.Pool
	store              *pgstore.Idempotency
	insert, update     string
	read               string
	value, fingerprint []byte
	tokens             []idempotency.Token
}

func newWorkload(b *testing.B, clients int) *workload {
	w := &workload{
		clients: clients, value: make([]byte, 512), fingerprint: make([]byte, 32), tokens: make([]idempotency.Token, b.N),
	}
	rand.Read(w.value) // PostgreSQL would compress zeros
	w.pool = connect(b, func(c *pgxpool.Config) { c.MaxConns = int32(clients) })
	w.store = open(b, w.pool)
	raw := newTable()
	must(b, w.store.EnsureSchema(b.Context()))
	must(b, openAt(b, w.pool, pgstore.Config{Table: raw}).EnsureSchema(b.Context()))
	w.insert = fmt.Sprintf(`INSERT INTO %s (key, owner, fence, created_at, expires_at, purge_after, state, fingerprint)
VALUES ($1, $2, 1, now(), now() + interval '1 minute', now() + interval '1 hour', 1, $3)`, raw)
	w.update = fmt.Sprintf(`UPDATE %s SET state = 2, result = $2, stored_at = now(), expires_at = now() + interval '1 hour'
WHERE key = $1`, raw)
	w.read = fmt.Sprintf(`SELECT result FROM %s WHERE key = $1`, raw)
	return w
}

// do does all of ops for every number below b.N, by all clients at once.
func (w *workload) do(b *testing.B, ops []operation) {
	ctx := b.Context()
	var next atomic.Int64
	atOnce(w.clients, func(int) {
		for i := int(next.Add(1)) - 1; i < b.N; i = int(next.Add(1)) - 1 {
			for _, op := range ops {
				if err := op(ctx, w, i); err != nil {
					b.Error(err)
					return
				}
			}
		}
	})
}

// operation is done for a key, which is a number.
type operation func(ctx context.Context, w *workload, i int) error

func key(i int) []byte {
	sum := sha256.Sum256([]byte(strconv.Itoa(i)))
	return sum[:]
}

func insert(ctx context.Context, w *workload, i int) error {
	_, err := w.pool.Exec(ctx, w.insert, key(i), pgtype.UUID{Valid: true}, w.fingerprint)
	return err
}

func update(ctx context.Context, w *workload, i int) error {
	_, err := w.pool.Exec(ctx, w.update, key(i), w.value)
	return err
}

func read(ctx context.Context, w *workload, i int) error {
	var value []byte
	return w.pool.QueryRow(ctx, w.read, key(i)).Scan(&value)
}

func claimNew(ctx context.Context, w *workload, i int) error {
	c, err := w.claim(ctx, i, idempotency.Acquired)
	w.tokens[i] = c.Token
	return err
}

func completeOwn(ctx context.Context, w *workload, i int) error {
	return w.store.Complete(ctx, strconv.Itoa(i), w.tokens[i], w.value, time.Hour)
}

func replay(ctx context.Context, w *workload, i int) error {
	_, err := w.claim(ctx, i, idempotency.Done)
	return err
}

func (w *workload) claim(ctx context.Context, i int, want idempotency.Outcome) (idempotency.Claim, error) {
	c, err := w.store.Claim(ctx, idempotency.ClaimRequest{
		Key: strconv.Itoa(i), Fingerprint: w.fingerprint, Lease: time.Minute, Retention: time.Hour,
	})
	if err == nil && c.Outcome != want {
		err = fmt.Errorf("got %v, want %v", c.Outcome, want)
	}
	return c, err
}
