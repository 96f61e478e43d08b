package circuitbreaker

import (
	"testing"
	"time"
)

func TestLateResultDoesNotEmptyANewerBucket(t *testing.T) {
	var w window
	const late = 7
	for range 3 {
		w.success(late + ringSize) // the same slot, one round later
	}
	w.success(late)
	if successes, _ := w.sum(late+ringSize, buckets); successes != 3 {
		t.Errorf("%d results in the bucket, want 3", successes)
	}
	if successes, _ := w.totals(); successes != 4 {
		t.Errorf("%d results in total, want 4", successes)
	}
}

func TestBucketNumbersMayWrap(t *testing.T) {
	var w window
	const last = uint64(1)<<tickBits - 1
	w.failure(last)
	w.failure(last + 1)
	w.success(last + 2)
	if successes, failures := w.sum(last+2, buckets); successes != 1 || failures != 2 {
		t.Errorf("got %d and %d", successes, failures)
	}
	if successes, failures := w.sum(last+2, 2); successes != 1 || failures != 1 {
		t.Errorf("within two buckets: got %d and %d", successes, failures)
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
