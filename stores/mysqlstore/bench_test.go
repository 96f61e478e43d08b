package mysqlstore_test

import (
	"crypto/sha256"
	"database/sql"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/steadyfx/steady/patterns/idempotency"
)

// BenchmarkIdempotency has raw statements beside the operations, prepared once, on rows of the same size in a table with a
// primary key and nothing else.
func BenchmarkIdempotency(b *testing.B) {
	value := make([]byte, 512)
	type operation = func(b *testing.B, key string)
	operations := []struct {
		name  string
		start func(b *testing.B, db *sql.DB) operation
	}{
		{"insert+update", func(b *testing.B, db *sql.DB) operation {
			table := raw(b, db)
			insert := prepare(b, db, "INSERT INTO "+table+" VALUES (?, ?, NULL, 1)")
			update := prepare(b, db, "UPDATE "+table+" SET value = ?, state = 2 WHERE id = ?")
			return func(b *testing.B, key string) {
				id := sha256.Sum256([]byte(key))
				if _, err := insert.ExecContext(b.Context(), id[:], value[:32]); err != nil {
					b.Error(err)
				}
				if _, err := update.ExecContext(b.Context(), value, id[:]); err != nil {
					b.Error(err)
				}
			}
		}},
		{"claim+complete", func(b *testing.B, db *sql.DB) operation {
			s := open(b, db)
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
		{"select", func(b *testing.B, db *sql.DB) operation {
			table := raw(b, db)
			id := sha256.Sum256([]byte("k"))
			insert := prepare(b, db, "INSERT INTO "+table+" VALUES (?, ?, ?, 2)")
			if _, err := insert.ExecContext(b.Context(), id[:], value[:32], value); err != nil {
				b.Fatal(err)
			}
			read := prepare(b, db, "SELECT value FROM "+table+" WHERE id = ?")
			return func(b *testing.B, _ string) {
				var got []byte
				if err := read.QueryRowContext(b.Context(), id[:]).Scan(&got); err != nil {
					b.Error(err)
				}
			}
		}},
		{"replay", func(b *testing.B, db *sql.DB) operation {
			s := open(b, db)
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
	db := connect(b, sharedServer(b), nil)
	for _, clients := range []int{1, 16} {
		db.SetMaxOpenConns(clients)
		db.SetMaxIdleConns(clients)
		b.Run("clients="+strconv.Itoa(clients), func(b *testing.B) {
			for _, o := range operations {
				b.Run(o.name, func(b *testing.B) {
					run := o.start(b, db)
					atOnce(clients, func(i int) { run(b, strconv.Itoa(-i)) }) // opens what is opened late
					var next atomic.Int64
					b.ReportAllocs()
					b.ResetTimer()
					atOnce(clients, func(int) {
						for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
							run(b, strconv.FormatInt(i, 10))
						}
					})
				})
			}
		})
	}
}

// raw makes a table.
func raw(b *testing.B, db *sql.DB) string {
	b.Helper()
	table := newTable()
	alter(b, db, "CREATE TABLE "+table+" (id BINARY(32) PRIMARY KEY, tag VARBINARY(64), value LONGBLOB, state TINYINT) ENGINE=InnoDB")
	return table
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
