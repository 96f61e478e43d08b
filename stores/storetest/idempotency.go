package storetest

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steadyfx/steady/patterns/idempotency"
)

// Option changes how a suite runs.
type Option func(*options)

type options struct {
	inBubble bool
	keys     int
	skewed   func(t *testing.T) idempotency.Store // nil: no check
}

// InBubble runs each check in a testing/synctest bubble: no real time passes. It is for stores without a network.
func InBubble() Option { return func(o *options) { o.inBubble = true } }

// RaceKeys sets over how many keys each race is run; 200 unless set. Each key is claimed by 32 goroutines at once.
func RaceKeys(n int) Option { return func(o *options) { o.keys = n } }

// Idempotency checks that the stores that open returns are what [idempotency.Store] says. Each check gets a store of
// its own, which must be empty; what has to be closed, open registers with t.Cleanup.
func Idempotency(t *testing.T, open func(t *testing.T) idempotency.Store, opts ...Option) {
	o := options{keys: 200}
	for _, opt := range opts {
		opt(&o)
	}
	for _, c := range idempotencyChecks {
		t.Run(c.name, func(t *testing.T) {
			run := func(t *testing.T) { c.run(&suite{TB: t, Store: open(t), raceKeys: o.keys}) }
			if o.inBubble {
				synctest.Test(t, run)
			} else {
				run(t)
			}
		})
	}
	if o.skewed != nil {
		o.runSkewed(t)
	}
}

// suite is what a check works with: a test to report to and the store to ask. Its helpers end the check on an
// unexpected error, so they are for the check's own goroutine.
type suite struct {
	testing.TB
	idempotency.Store
	raceKeys int
}

type check struct {
	name string
	run  func(s *suite)
}

var idempotencyChecks = []check{
	{"FirstClaimIsAcquired", firstClaimIsAcquired},
	{"SecondClaimIsInProgress", secondClaimIsInProgress},
	{"CompletedClaimIsDone", completedClaimIsDone},
	{"FingerprintIsComparedOnEveryPath", fingerprintIsComparedOnEveryPath},
	{"EachClaimHasItsOwnToken", eachClaimHasItsOwnToken},
	{"LateOwnerLosesItsClaim", lateOwnerLosesItsClaim},
	{"OnlyTheOwnerActs", onlyTheOwnerActs},
	{"LapsedClaimIsStillItsOwners", lapsedClaimIsStillItsOwners},
	{"ExtendedClaimLasts", extendedClaimLasts},
	{"ReleasedKeyIsAbsent", releasedKeyIsAbsent},
	{"CompletingAgainChangesNothing", completingAgainChangesNothing},
	{"ResultExpires", resultExpires},
	{"ResultOutlivesTheLease", resultOutlivesTheLease},
	{"TimesAreFinerThanSeconds", timesAreFinerThanSeconds},
	{"NothingExpiresEarly", nothingExpiresEarly},
	{"SetStoresForWhoeverHoldsTheKey", setStoresForWhoeverHoldsTheKey},
	{"DeleteRemovesAnyRecord", deleteRemovesAnyRecord},
	{"AcquireIsAClaim", acquireIsAClaim},
	{"KeysAreBytes", keysAreBytes},
	{"ValuesAreBytes", valuesAreBytes},
	{"SlicesAreCopied", slicesAreCopied},
	{"ArgumentsOutOfRangeAreRefused", argumentsOutOfRangeAreRefused},
	{"ContextThatIsOverIsObeyed", contextThatIsOverIsObeyed},
	{"CancelledCallsLeaveTheStoreUsable", cancelledCallsLeaveTheStoreUsable},
	{"ErrorsAreDiscreet", errorsAreDiscreet},
	{"CleanupRemovesOnlyExpired", cleanupRemovesOnlyExpired},
	{"CleanupSparesTakenOverClaims", cleanupSparesTakenOverClaims},
	{"OneClaimantWinsAFreshKey", oneClaimantWinsAFreshKey},
	{"OneClaimantWinsALapsedClaim", oneClaimantWinsALapsedClaim},
	{"OneClaimantWinsAnExpiredResult", oneClaimantWinsAnExpiredResult},
	{"LateOwnerOrNewOne", lateOwnerOrNewOne},
	{"HeartbeatKeepsTheClaim", heartbeatKeepsTheClaim},
	{"PingAnswers", pingAnswers},
}

// Leases and retentions that a check waits for are short, all others so long that no check outlives them, however
// slow the machine is.
const (
	short = 20 * time.Millisecond
	long  = 10 * time.Minute
)

func (s *suite) claimWith(req idempotency.ClaimRequest) idempotency.Claim {
	s.Helper()
	c, err := s.Claim(s.Context(), req)
	if err != nil {
		s.Fatalf("claim: %v", err)
	}
	return c
}

// claim claims key for long.
func (s *suite) claim(key string) idempotency.Claim {
	s.Helper()
	return s.claimWith(idempotency.ClaimRequest{Key: key, Lease: long, Retention: long})
}

// acquire claims key and wants it.
func (s *suite) acquire(key string, lease time.Duration) idempotency.Token {
	s.Helper()
	c := s.claimWith(idempotency.ClaimRequest{Key: key, Lease: lease, Retention: long})
	s.is(c, idempotency.Acquired, "claim of an absent key")
	return c.Token
}

// is wants the outcome of a claim, and that what does not belong to the outcome is zero.
func (s *suite) is(c idempotency.Claim, outcome idempotency.Outcome, what string) {
	s.Helper()
	if c.Outcome != outcome {
		s.Fatalf("%s: got %v, want %v", what, c.Outcome, outcome)
	}
	if c.Fence <= 0 {
		s.Errorf("%s: fence %d, want it positive", what, c.Fence)
	}
	if outcome != idempotency.Acquired && c.Token != (idempotency.Token{}) {
		s.Errorf("%s: %v carries a token", what, outcome)
	}
	if (c.RetryAfter != 0) != (outcome == idempotency.InProgress) {
		s.Errorf("%s: %v with RetryAfter %v", what, outcome, c.RetryAfter)
	}
	if outcome != idempotency.Done && (len(c.Value) > 0 || c.Age != 0 || c.ExpiresIn != 0) {
		s.Errorf("%s: %v carries a value of %d bytes, aged %v, that expires in %v", what, outcome, len(c.Value), c.Age, c.ExpiresIn)
	}
}

func (s *suite) must(err error, what string) {
	s.Helper()
	if err != nil {
		s.Fatalf("%s: %v", what, err)
	}
}

func (s *suite) lost(err error, what string) {
	s.Helper()
	if !errors.Is(err, idempotency.ErrClaimLost) {
		s.Errorf("%s: got error %v, want ErrClaimLost", what, err)
	}
}

// holds wants the result of key.
func (s *suite) holds(key, value, what string) {
	s.Helper()
	got, found, err := s.Get(s.Context(), key)
	s.must(err, "get")
	if !found || string(got) != value {
		s.Fatalf("%s: got %.40q, found %v, want %.40q", what, got, found, value)
	}
}

// record wants the record of key.
func (s *suite) record(key string) idempotency.Record {
	s.Helper()
	rec, found, err := s.GetRecord(s.Context(), key)
	s.must(err, "get record")
	if !found {
		s.Fatal("get record: found none")
	}
	return rec
}

// absent wants no record of key, however one asks.
func (s *suite) absent(key, what string) {
	s.Helper()
	if rec, found, err := s.GetRecord(s.Context(), key); err != nil || found {
		s.Fatalf("%s: got a %v record, error %v, want none", what, rec.Status, err)
	}
	if _, found, err := s.Get(s.Context(), key); err != nil || found {
		s.Fatalf("%s: found a result, error %v, want none", what, err)
	}
}

// lapse waits until the records of keys have expired.
func (s *suite) lapse(keys ...string) {
	s.Helper()
	<-time.After(short)
	for _, key := range keys {
		for tries := 0; ; tries++ {
			_, found, err := s.GetRecord(s.Context(), key)
			s.must(err, "get record")
			if !found {
				break
			}
			if tries == 1000 {
				s.Fatalf("a record of %v has not expired after %v", short, short+1000*5*time.Millisecond)
			}
			<-time.After(5 * time.Millisecond)
		}
	}
}

// atOnce runs f n times at the same time and waits for all.
func atOnce(n int, f func(i int)) {
	var wg sync.WaitGroup
	gate := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-gate
			f(i)
		})
	}
	close(gate)
	wg.Wait()
}
