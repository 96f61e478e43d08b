package storetest

import (
	"strconv"
	"time"

	"github.com/steadyfx/steady/patterns/idempotency"
)

func firstClaimIsAcquired(s *suite) {
	s.absent("k", "a key nobody has claimed")
	c := s.claimWith(idempotency.ClaimRequest{Key: "k", Lease: long, Retention: 2 * long, Fingerprint: []byte("fp")})
	s.is(c, idempotency.Acquired, "first claim")
	if c.Token.Owner == ([16]byte{}) || c.Token.Fence != c.Fence {
		s.Errorf("got token %v of a claim with fence %d, want a random owner and the same fence", c.Token, c.Fence)
	}
	rec := s.record("k")
	if rec.Status != idempotency.StatusPending || string(rec.Fingerprint) != "fp" || rec.Fence != c.Fence || len(rec.Value) > 0 {
		s.Errorf("got record %+v, want a pending one with the claim's fingerprint and fence", rec)
	}
	s.near(rec.ExpiresAt.Sub(rec.CreatedAt), long, "end of the lease")
}

// near allows for the coarsest clock that a backend may have, a millisecond, at both ends.
func (s *suite) near(got, want time.Duration, what string) {
	s.Helper()
	if diff := (got - want).Abs(); diff > 2*time.Millisecond {
		s.Errorf("%s: got %v after the start, want %v", what, got, want)
	}
}

func secondClaimIsInProgress(s *suite) {
	token := s.acquire("k", long)
	for range 2 {
		c := s.claim("k")
		s.is(c, idempotency.InProgress, "claim of a held key")
		if c.RetryAfter < time.Millisecond || c.RetryAfter > long || c.RetryAfter < long/2 {
			s.Errorf("got RetryAfter %v, want what is left of %v", c.RetryAfter, long)
		}
		if c.Fence != token.Fence {
			s.Errorf("got fence %d, want that of the record, %d", c.Fence, token.Fence)
		}
	}
	if _, found, err := s.Get(s.Context(), "k"); found || err != nil {
		s.Errorf("get of a pending key: found %v, error %v", found, err)
	}
	s.is(s.claim("other"), idempotency.Acquired, "claim of another key")
}

func completedClaimIsDone(s *suite) {
	c := s.claimWith(idempotency.ClaimRequest{Key: "k", Lease: long, Retention: 2 * long, Fingerprint: []byte("fp")})
	created := s.record("k").CreatedAt
	<-time.After(short)
	s.must(s.Extend(s.Context(), "k", c.Token, long), "extend")
	before := time.Now()
	s.must(s.Complete(s.Context(), "k", c.Token, []byte("result"), 2*long), "complete")
	s.holds("k", "result", "completed key")

	<-time.After(5 * time.Millisecond)
	done := s.claim("k")
	oldest := time.Since(before) + 2*time.Millisecond
	s.is(done, idempotency.Done, "claim of a completed key")
	if string(done.Value) != "result" || done.Fence != c.Fence {
		s.Errorf("got %q with fence %d, want the result with fence %d", done.Value, done.Fence, c.Fence)
	}
	if done.Age < 2*time.Millisecond || done.Age > oldest {
		s.Errorf("got age %v, want the time since the result was stored, at least 5ms and at most %v", done.Age, oldest)
	}
	if left := done.ExpiresIn; left < 2*long-oldest || left > 2*long-2*time.Millisecond {
		s.Errorf("got a result that expires in %v, want what is left of %v, at least %v", left, 2*long, 2*long-oldest)
	}
	rec := s.record("k")
	if rec.Status != idempotency.StatusComplete || string(rec.Value) != "result" || rec.Fence != c.Fence ||
		string(rec.Fingerprint) != "fp" {
		s.Errorf("got record %+v, want a complete one with the claim's fingerprint and fence", rec)
	}
	if !rec.CreatedAt.Equal(created) {
		s.Errorf("the record was made at %v, now it says at %v", created, rec.CreatedAt)
	}
	if kept := rec.ExpiresAt.Sub(rec.CreatedAt); kept < 2*long-2*time.Millisecond || kept > 3*long {
		s.Errorf("the record expires %v after it was made, want about %v", kept, 2*long)
	}
}

func fingerprintIsComparedOnEveryPath(s *suite) {
	with := func(fingerprint string) idempotency.Claim {
		s.Helper()
		return s.claimWith(idempotency.ClaimRequest{
			Key: "k", Lease: long, Retention: long, Fingerprint: []byte(fingerprint),
		})
	}
	compare := func(same idempotency.Outcome, state string, fence int64) {
		s.Helper()
		s.is(with("one"), same, state+": same fingerprint")
		s.is(with(""), same, state+": claim without a fingerprint")
		for _, other := range []string{"two", "on", "onee", "ONE", "\x00one"} {
			c := with(other)
			s.is(c, idempotency.Mismatch, state+": another fingerprint")
			if c.Fence != fence {
				s.Errorf("%s: mismatch with fence %d, want that of the record, %d", state, c.Fence, fence)
			}
		}
	}
	first := s.claimWith(idempotency.ClaimRequest{Key: "k", Lease: short, Retention: long, Fingerprint: []byte("other")})
	s.is(first, idempotency.Acquired, "claim of an absent key")
	s.lapse("k")
	c := with("one")
	s.is(c, idempotency.Acquired, "another fingerprint after the lease")
	compare(idempotency.InProgress, "pending", c.Fence)
	s.must(s.Extend(s.Context(), "k", c.Token, long), "extend")
	compare(idempotency.InProgress, "extended", c.Fence)
	s.must(s.Complete(s.Context(), "k", c.Token, []byte("result"), long), "complete")
	compare(idempotency.Done, "complete", c.Fence)
	s.must(s.Delete(s.Context(), "k"), "delete")

	c = with("")
	s.is(c, idempotency.Acquired, "claim of an absent key")
	s.is(with("two"), idempotency.InProgress, "fingerprint against a pending record without one")
	s.must(s.Complete(s.Context(), "k", c.Token, nil, long), "complete")
	s.is(with("two"), idempotency.Done, "fingerprint against a result without one")
}

func eachClaimHasItsOwnToken(s *suite) {
	owners := map[[16]byte]bool{}
	for i := range 100 {
		owners[s.acquire(strconv.Itoa(i), long).Owner] = true
	}
	if len(owners) != 100 {
		s.Errorf("100 claims had %d owners", len(owners))
	}
	last := int64(0)
	for i := range 4 {
		token := s.acquire("k", short)
		if token.Fence <= last {
			s.Errorf("acquisition %d has fence %d after %d, want a higher one", i+1, token.Fence, last)
		}
		if last = token.Fence; i%2 == 1 {
			s.must(s.Complete(s.Context(), "k", token, nil, short), "complete")
		}
		s.lapse("k")
	}
}

func lateOwnerLosesItsClaim(s *suite) {
	late := s.acquire("k", short)
	s.lapse("k")
	owner := s.acquire("k", long)
	lateCalls := func(state string) {
		s.Helper()
		s.lost(s.Complete(s.Context(), "k", late, []byte("late"), long), state+": late complete")
		s.lost(s.Extend(s.Context(), "k", late, 2*long), state+": late extend")
		s.lost(s.Release(s.Context(), "k", late), state+": late release")
	}
	lateCalls("pending")
	c := s.claim("k")
	s.is(c, idempotency.InProgress, "claim after late calls")
	if c.Fence != owner.Fence || c.RetryAfter > long {
		s.Errorf("late calls changed the claim: fence %d for %v, want %d for at most %v", c.Fence, c.RetryAfter, owner.Fence, long)
	}
	s.must(s.Complete(s.Context(), "k", owner, []byte("result"), long), "complete")
	lateCalls("complete")
	s.holds("k", "result", "after late calls")
}

func onlyTheOwnerActs(s *suite) {
	owner := s.acquire("k", long)
	stranger := idempotency.Token{Owner: owner.Owner, Fence: owner.Fence}
	stranger.Owner[15] ^= 1
	refused := func(key string, token idempotency.Token, what string) {
		s.Helper()
		s.lost(s.Complete(s.Context(), key, token, []byte("refused"), long), "complete by "+what)
		s.lost(s.Extend(s.Context(), key, token, long), "extend by "+what)
		s.lost(s.Release(s.Context(), key, token), "release by "+what)
	}
	refused("k", stranger, "a stranger")
	refused("k", idempotency.Token{Fence: owner.Fence}, "nobody")
	refused("other", owner, "the owner of another key")
	s.absent("other", "a key that was never claimed")
	s.is(s.claim("k"), idempotency.InProgress, "claim after what strangers did")

	s.must(s.Complete(s.Context(), "k", owner, []byte("result"), long), "complete")
	s.lost(s.Extend(s.Context(), "k", owner, short), "extend of a result")
	s.lost(s.Release(s.Context(), "k", owner), "release of a result")
	refused("k", stranger, "a stranger to a result")
	s.holds("k", "result", "after what strangers did")

	s.must(s.Delete(s.Context(), "k"), "delete")
	refused("k", owner, "the owner of a deleted key")
	s.absent("k", "a deleted key")
}

func lapsedClaimIsStillItsOwners(s *suite) {
	completed, extended, released := s.acquire("completed", short), s.acquire("extended", short), s.acquire("released", short)
	s.lapse("completed", "extended", "released")
	s.must(s.Complete(s.Context(), "completed", completed, []byte("result"), long), "complete of a lapsed claim")
	s.holds("completed", "result", "lapsed and completed")
	s.must(s.Extend(s.Context(), "extended", extended, long), "extend of a lapsed claim")
	s.is(s.claim("extended"), idempotency.InProgress, "lapsed and extended")
	s.must(s.Release(s.Context(), "released", released), "release of a lapsed claim")
	s.lost(s.Complete(s.Context(), "released", released, nil, long), "complete of a claim that lapsed and was released")
	s.is(s.claim("released"), idempotency.Acquired, "lapsed and released")
}

func extendedClaimLasts(s *suite) {
	token := s.acquire("k", short)
	s.must(s.Extend(s.Context(), "k", token, long), "extend")
	<-time.After(3 * short)
	c := s.claim("k")
	s.is(c, idempotency.InProgress, "claim of an extended key")
	if c.RetryAfter < long/2 || c.RetryAfter > long {
		s.Errorf("got RetryAfter %v, want what is left of %v", c.RetryAfter, long)
	}
	s.must(s.Extend(s.Context(), "k", token, short), "extend again")
	s.lapse("k")
	s.must(s.Extend(s.Context(), "k", token, long), "extend of a lapsed claim")
	s.must(s.Complete(s.Context(), "k", token, []byte("result"), long), "complete")
	s.holds("k", "result", "extended and completed")
}

func releasedKeyIsAbsent(s *suite) {
	first := s.acquire("k", long)
	s.must(s.Release(s.Context(), "k", first), "release")
	s.absent("k", "a released key")
	s.lost(s.Complete(s.Context(), "k", first, []byte("late"), long), "complete of a released claim")
	s.lost(s.Extend(s.Context(), "k", first, long), "extend of a released claim")
	s.absent("k", "a released key after late calls")

	second := s.claimWith(idempotency.ClaimRequest{Key: "k", Lease: long, Retention: long, Fingerprint: []byte("fp")})
	s.is(second, idempotency.Acquired, "claim of a released key")
	if second.Token.Owner == first.Owner {
		s.Error("the owner of a released claim was used again")
	}
	s.lost(s.Release(s.Context(), "k", first), "release of a key that was claimed again")
	s.is(s.claim("k"), idempotency.InProgress, "claim after a late release")
}

// completingAgainChangesNothing is what makes a Complete whose answer was lost safe to repeat.
func completingAgainChangesNothing(s *suite) {
	token := s.acquire("k", long)
	s.must(s.Complete(s.Context(), "k", token, []byte("result"), long), "complete")
	s.must(s.Complete(s.Context(), "k", token, []byte("again"), short), "complete again")
	s.holds("k", "result", "completed twice")
	if rec := s.record("k"); rec.ExpiresAt.Sub(rec.CreatedAt) < long-2*time.Millisecond {
		s.Errorf("completing again changed the end of the retention to %v", rec.ExpiresAt.Sub(rec.CreatedAt))
	}

	token = s.acquire("for ever", long)
	for range 2 {
		s.must(s.Complete(s.Context(), "for ever", token, nil, 0), "complete without expiry")
	}
}
