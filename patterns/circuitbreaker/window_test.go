package circuitbreaker

import (
	"testing"
	"time"
)

func TestLateResultDoesNotEmptyANewerBucket(t *testing.T) {
	var retired totals
	w := newTimeWindow(0, buckets, 0, &retired) // buckets of a nanosecond
	const late = 7
	for range 3 {
		w.add(late+ringSize, result{}) // the same slot, one round later
	}
	w.add(late, result{})
	if got := w.sum(late + ringSize); got.calls != 3 {
		t.Errorf("%d results in the bucket, want 3", got.calls)
	}
	if got := w.counted().results[succeeded] + retired.results[succeeded].Load(); got != 4 {
		t.Errorf("%d results in total, want 4", got)
	}
}

func TestBucketNumbersMayWrap(t *testing.T) {
	var retired totals
	w := newTimeWindow(0, buckets, 0, &retired)
	const last = 1<<tickBits - 1
	w.add(last, result{failed: true})
	w.add(last+1, result{failed: true})
	w.add(last+2, result{})
	if got := w.sum(last + 2); got.calls != 3 || got.failures != 2 {
		t.Errorf("got %+v", got)
	}
	if got := w.sum(last + buckets); got.calls != 2 || got.failures != 1 {
		t.Errorf("when the first has left: got %+v", got)
	}
}

// A window on the wall clock stands still or is emptied when that is set. Round takes the monotonic reading away.
func TestPitfall22ClockOfTheWindowIsMonotonic(t *testing.T) {
	b, err := New("payments", Config{})
	if err != nil {
		t.Fatal(err)
	}
	if b.start == b.start.Round(0) {
		t.Fatal("the breaker counts from a time without a monotonic reading")
	}
	set := &Breaker{start: b.start.Add(-time.Hour)} // as if an hour had passed
	if passed := set.now() - b.now(); passed < 59*time.Minute {
		t.Fatalf("%v have passed", passed)
	}
}

func TestResultsOfBeforeAReconfigurationCountInARow(t *testing.T) {
	b, err := New("payments", Config{FailureThreshold: 3})
	if err != nil {
		t.Fatal(err)
	}
	before := b.current.Load()
	if err := b.Reconfigure(Config{FailureThreshold: 3, MinimumCalls: 30}); err != nil {
		t.Fatal(err)
	}
	b.recordClosed(t.Context(), before, b.now(), result{failed: true}) // had read the phase before
	b.RecordFailure(nil)
	b.RecordFailure(nil)
	if b.State() != Open {
		t.Fatalf("state is %v", b.State())
	}
	b.Reset()
	before = b.current.Load()
	b.RecordFailure(nil)
	b.RecordFailure(nil)
	if err := b.Reconfigure(Config{FailureThreshold: 3}); err != nil {
		t.Fatal(err)
	}
	b.recordClosed(t.Context(), before, b.now(), result{failed: true})
	if b.State() != Open {
		t.Fatalf("the one that opens was lost: state is %v", b.State())
	}
}
