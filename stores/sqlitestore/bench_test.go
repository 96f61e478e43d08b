package sqlitestore_test

import (
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/steadyfx/steady/patterns/idempotency"
)

// BenchmarkIdempotency has raw statements beside the operations, on rows of the same size in a table with a primary key
// and nothing else, written by one connection and read by as many as there are clients.
func BenchmarkIdempotency(b *testing.B) {
	value := make([]byte, 512)
	type operation = func(b *testing.B, key string)
	operations := []struct {
		name  string
		start func(b *testing.B, clients int) operation
	}{
		{"insert+update", func(b *testing.B, _ int) operation {
			db := raw(b, 1)
			insert := prepare(b, db, "INSERT INTO raw VALUES (?1, ?2, ?3, 1)")
			update := prepare(b, db, "UPDATE raw SET value = ?2, state = 2 WHERE key = ?1")
			return func(b *testing.B, key string) {
				id := sha256.Sum256([]byte(key))
				if _, err := insert.ExecContext(b.Context(), id[:], value[:32], nil); err != nil {
					b.Error(err)
				}
				if _, err := update.ExecContext(b.Context(), id[:], value); err != nil {
					b.Error(err)
				}
			}
		}},
		{"claim+complete", func(b *testing.B, _ int) operation {
			s := open(b, newPath(b))
			return func(b *testing.B, key string) {
				c, err := s.Claim(b.Context(), idempotency.ClaimRequest{
					Key: key, Lease: time.Minute, Retention: time.Hour, Fingerprint: value[:32],
				})
				if err != nil || c.Outcome != idempotency.Acquired {
					b.Error(c.Outcome, err)
				}
				if err := s.Complete(b.Context(), key, c.Token, value, time.Hour); err != nil {
					b.Error(err)
				}
			}
		}},
		{"select", func(b *testing.B, clients int) operation {
			db := raw(b, clients)
			if _, err := db.ExecContext(b.Context(), "INSERT INTO raw VALUES (x'00', x'', ?1, 2)", value); err != nil {
				b.Fatal(err)
			}
			read := prepare(b, db, "SELECT value FROM raw WHERE key = x'00'")
			return func(b *testing.B, _ string) {
				var got []byte
				if err := read.QueryRowContext(b.Context()).Scan(&got); err != nil {
					b.Error(err)
				}
			}
		}},
		{"replay", func(b *testing.B, _ int) operation {
			s := open(b, newPath(b))
			if err := s.Set(b.Context(), "k", value, time.Hour); err != nil {
				b.Fatal(err)
			}
			return func(b *testing.B, _ string) {
				c, err := s.Claim(b.Context(), idempotency.ClaimRequest{Key: "k", Lease: time.Minute, Fingerprint: value[:32]})
				if err != nil || c.Outcome != idempotency.Done {
					b.Error(c.Outcome, err)
				}
			}
		}},
	}
	for _, clients := range []int{1, 16} {
		b.Run("clients="+strconv.Itoa(clients), func(b *testing.B) {
			for _, o := range operations {
				b.Run(o.name, func(b *testing.B) {
					run := o.start(b, clients)
					run(b, rand.Text()) // opens what is opened late
					var next atomic.Int64
					b.ReportAllocs()
					b.ResetTimer()
					atOnce(clients, func() {
						for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
							run(b, strconv.FormatInt(i, 10))
						}
					})
				})
			}
		})
	}
}

// raw returns a table in a file that is as durable as the store's.
func raw(b *testing.B, connections int) *sql.DB {
	b.Helper()
	uri := url.URL{Scheme: "file", OmitHost: true, Path: newPath(b), RawQuery: "_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)"}
	db, err := sql.Open("sqlite", uri.String())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	if _, err := db.ExecContext(b.Context(), "CREATE TABLE raw (key BLOB PRIMARY KEY, tag BLOB, value BLOB, state INTEGER)"); err != nil {
		b.Fatal(err)
	}
	return db
}

func prepare(b *testing.B, db *sql.DB, query string) *sql.Stmt {
	b.Helper()
	stmt, err := db.PrepareContext(b.Context(), query)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { stmt.Close() })
	return stmt
}

// atOnce runs f n times at the same time and waits for all.
func atOnce(n int, f func()) {
	var wg sync.WaitGroup
	for range n {
		wg.Go(f)
	}
	wg.Wait()
}
