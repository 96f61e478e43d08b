package histories

import (
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/steadyfx/steady/patterns/idempotency"
	"github.com/steadyfx/steady/stores/memstore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func memory(t *testing.T) *memstore.Idempotency {
	t.Helper()
	m, err := memstore.NewIdempotency(memstore.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// finds runs one of the checks until a report holds text, and returns that report, or an empty one.
func finds(t *testing.T, text string, run check, store idempotency.Store) string {
	t.Helper()
	o := Options{}.withDefaults()
	w := &world{TB: t, store: store, o: o}
	for first := 0; first < o.Histories; first += together {
		for _, judge := range w.runSome(run, first, first+together) {
			for _, v := range judge().violations {
				if strings.Contains(v, text) {
					return v
				}
			}
		}
	}
	return ""
}
