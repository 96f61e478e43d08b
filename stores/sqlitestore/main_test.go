package sqlitestore_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/steadyfx/steady/patterns/idempotency"
	"github.com/steadyfx/steady/stores/sqlitestore"
)

func TestMain(m *testing.M) {
	for variable, run := range map[string]func(path string) error{asProcess: storeResults, asChild: serve} {
		if path := os.Getenv(variable); path != "" {
			if err := run(path); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
			return
		}
	}
	goleak.VerifyTestMain(m)
}

// patience is longer than a busy machine needs for any call.
const patience = time.Minute

// newPath returns where a file may be made, with characters that mean something in a URI.
func newPath(tb testing.TB) string {
	tb.Helper()
	return filepath.Join(tb.TempDir(), "100% safe?#.db")
}

// open returns a store in a file, which ends with the test.
func open(tb testing.TB, path string) *sqlitestore.Idempotency {
	tb.Helper()
	return openTable(tb, path, "")
}

func openTable(tb testing.TB, path, table string) *sqlitestore.Idempotency {
	tb.Helper()
	s, err := sqlitestore.NewIdempotency(sqlitestore.Config{Path: path, Table: table, Timeout: patience})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Errorf("close: %v", err)
		}
	})
	return s
}

func claim(tb testing.TB, s *sqlitestore.Idempotency, req idempotency.ClaimRequest) idempotency.Claim {
	tb.Helper()
	c, err := s.Claim(tb.Context(), req)
	if err != nil {
		tb.Fatalf("claim: %v", err)
	}
	return c
}
