package sqlrecord

import (
	"errors"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/idempotency"
)

var mine, other = [16]byte{1}, [16]byte{2}

func row(state int64, owner [16]byte, expires int64) Row {
	return Row{State: state, Owner: owner[:], Fence: 7, Fingerprint: []byte("fp"), Created: 1e6, Stored: 2e6, Expires: expires,
		Result: []byte("result"), Now: 5e6}
}

func TestClaimOfARow(t *testing.T) {
	acquired := idempotency.Claim{Outcome: idempotency.Acquired, Token: idempotency.Token{Owner: mine, Fence: 7}, Fence: 7}
	inProgress := func(left time.Duration) idempotency.Claim {
		return idempotency.Claim{Outcome: idempotency.InProgress, Fence: 7, RetryAfter: left}
	}
	done := idempotency.Claim{Outcome: idempotency.Done, Fence: 7, Value: []byte("result"), Age: 3 * time.Second}
	for1s := done
	for1s.ExpiresIn = time.Second
	mismatch := idempotency.Claim{Outcome: idempotency.Mismatch, Fence: 7}
	early := row(Complete, other, 6e6)
	early.Stored = 9e6
	for name, tc := range map[string]struct {
		row         Row
		fingerprint string
		want        idempotency.Claim // zero: free
	}{
		"absent":                          {Row{}, "fp", idempotency.Claim{}},
		"pending":                         {row(Pending, other, 8e6), "fp", inProgress(3 * time.Second)},
		"pending, hardly":                 {row(Pending, other, 5e6+1), "fp", inProgress(time.Millisecond)},
		"pending for ever":                {row(Pending, other, math.MaxInt64-1), "", inProgress(math.MaxInt64)},
		"pending, other payload":          {row(Pending, other, 8e6), "fq", mismatch},
		"lapsed":                          {row(Pending, other, 5e6), "fp", idempotency.Claim{}},
		"lapsed, other payload":           {row(Pending, other, 4e6), "fq", idempotency.Claim{}},
		"own, of a lost answer":           {row(Pending, mine, 8e6), "fp", acquired},
		"own, lapsed":                     {row(Pending, mine, 5e6), "fp", idempotency.Claim{}},
		"complete":                        {row(Complete, other, 6e6), "fp", for1s},
		"complete, without a fingerprint": {row(Complete, other, 6e6), "", for1s},
		"complete, own":                   {row(Complete, mine, 6e6), "fp", for1s},
		"complete without expiry":         {row(Complete, other, Never), "fp", done},
		"complete, other payload":         {row(Complete, other, 6e6), "fq", mismatch},
		"expired":                         {row(Complete, other, 5e6), "fp", idempotency.Claim{}},
		"released":                        {row(Released, other, 8e6), "fp", idempotency.Claim{}},
		"stored in the future": {early, "fp", idempotency.Claim{
			Outcome: idempotency.Done, Fence: 7, Value: []byte("result"), ExpiresIn: time.Second,
		}},
	} {
		got, found := tc.row.Claim(idempotency.ClaimRequest{Fingerprint: []byte(tc.fingerprint)}, mine)
		if !reflect.DeepEqual(got, tc.want) || found != (tc.want.Outcome != 0) {
			t.Errorf("%s: got %+v, found %v, want %+v", name, got, found, tc.want)
		}
		if _, found := tc.row.Record(); found != (tc.row.State != Released && tc.row.Expires > tc.row.Now) {
			t.Errorf("%s: record found: %v", name, found)
		}
	}
}

func TestRecordOfARow(t *testing.T) {
	pending, complete := row(Pending, other, 8e6), row(Complete, other, Never)
	for _, tc := range []struct {
		row  Row
		want idempotency.Record
	}{
		{pending, idempotency.Record{
			Status: idempotency.StatusPending, Fingerprint: []byte("fp"), Fence: 7, CreatedAt: time.Unix(1, 0), ExpiresAt: time.Unix(8, 0),
		}},
		{complete, idempotency.Record{
			Status: idempotency.StatusComplete, Value: []byte("result"), Fingerprint: []byte("fp"), Fence: 7, CreatedAt: time.Unix(1, 0),
		}},
	} {
		if got, found := tc.row.Record(); !found || !reflect.DeepEqual(got, tc.want) {
			t.Errorf("got %+v, found %v, want %+v", got, found, tc.want)
		}
	}
}

func TestRepeatedChanges(t *testing.T) {
	for name, tc := range map[string]struct {
		row   Row
		state int64
		want  bool
	}{
		"absent":              {Row{Now: 1}, Released, false},
		"complete":            {row(Complete, mine, 6e6), Complete, true},
		"complete, expired":   {row(Complete, mine, 5e6), Complete, false},
		"complete, another's": {row(Complete, other, 6e6), Complete, false},
		"pending":             {row(Pending, mine, 6e6), Complete, false},
		"extended":            {row(Pending, mine, 6e6), Pending, true},
		"extended, another's": {row(Pending, other, 6e6), Pending, false},
		"released":            {row(Released, mine, 0), Released, true},
		"released, another's": {row(Released, other, 0), Released, false},
		"released, completed": {row(Complete, mine, 6e6), Released, false},
	} {
		if got := tc.row.Repeats(mine, tc.state); got != tc.want {
			t.Errorf("%s: got %v, want %v", name, got, tc.want)
		}
	}
}

func TestNextFenceIsTheTimeOrOneMore(t *testing.T) {
	for _, tc := range []struct{ fence, now, want int64 }{{0, 5, 5}, {4, 5, 5}, {5, 5, 6}, {9, 5, 10}} {
		r := Row{Fence: tc.fence, Now: tc.now}
		if got := r.NextFence(); got != tc.want {
			t.Errorf("after %d at %d: got %d, want %d", tc.fence, tc.now, got, tc.want)
		}
	}
}

func TestRowsThatNoStoreWrote(t *testing.T) {
	short, negative, unknown := row(Pending, mine, 1), row(Pending, mine, 1), row(3, mine, 1)
	short.Owner = short.Owner[:15]
	negative.Fence = -1
	for name, r := range map[string]Row{"short owner": short, "negative fence": negative, "unknown state": unknown} {
		if err := r.Check(); !errors.Is(err, ErrRow) {
			t.Errorf("%s: got error %v, want ErrRow", name, err)
		}
	}
	right := row(Pending, mine, 1)
	absent := Row{Now: 1}
	if err := errors.Join(right.Check(), absent.Check()); err != nil {
		t.Error(err)
	}
}

func TestMicrosRoundUp(t *testing.T) {
	for d, want := range map[time.Duration]int64{0: 0, 1: 1, 999: 1, 1000: 1, 1001: 2, math.MaxInt64: math.MaxInt64/1000 + 1} {
		if got := Micros(d); got != want {
			t.Errorf("%d ns: got %d, want %d", d, got, want)
		}
	}
}

func TestGraceIsTheLongestOfThree(t *testing.T) {
	for _, tc := range []struct{ lease, retention, want time.Duration }{
		{time.Second, 0, time.Minute}, {time.Hour, time.Second, time.Hour}, {time.Second, 2 * time.Hour, 2 * time.Hour},
	} {
		if got := Grace(idempotency.ClaimRequest{Lease: tc.lease, Retention: tc.retention}); got != tc.want.Microseconds() {
			t.Errorf("%v and %v: got %d µs, want %v", tc.lease, tc.retention, got, tc.want)
		}
	}
}

func TestNamesAreChecked(t *testing.T) {
	for name, want := range map[string]int{
		"a": 0, "A_1": 0, "_": 0, "order": 0, "": 1, "1a": 1, "a-b": 1, "a b": 1, `a"`: 1, "a`": 1, "é": 1, "a.b": 1, "a\x00": 1,
	} {
		var checks patterns.Checks
		CheckName(&checks, "table", name)
		if err := checks.Err(""); (err != nil) != (want > 0) {
			t.Errorf("%q: got error %v", name, err)
		}
	}
}
