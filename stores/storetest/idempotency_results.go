package storetest

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/steadyfx/steady/patterns/idempotency"
)

func resultExpires(s *suite) {
	first := s.acquire("k", long)
	s.must(s.Complete(s.Context(), "k", first, []byte("old"), short), "complete")
	s.lapse("k")
	s.absent("k", "an expired result")
	s.lost(s.Complete(s.Context(), "k", first, []byte("late"), long), "complete after the result expired")

	second := s.acquire("k", long)
	if second.Fence <= first.Fence || second.Owner == first.Owner {
		s.Errorf("got token %v after %v, want a new owner and a higher fence", second, first)
	}
	if rec := s.record("k"); rec.Status != idempotency.StatusPending || len(rec.Value) > 0 || len(rec.Fingerprint) > 0 {
		s.Errorf("got record %+v of a key that was claimed again, want nothing of the old one", rec)
	}
	s.must(s.Complete(s.Context(), "k", second, []byte("new"), long), "complete")
	s.holds("k", "new", "completed after expiry")

	s.must(s.Set(s.Context(), "soon", nil, short), "set")
	for range 1000 {
		c := s.claim("soon")
		if c.Outcome != idempotency.Done {
			break
		}
		if c.ExpiresIn <= 0 || c.ExpiresIn > short+time.Millisecond {
			s.Errorf("a result that was stored for %v expires in %v", short, c.ExpiresIn)
		}
		<-time.After(time.Millisecond)
	}
}

func resultOutlivesTheLease(s *suite) {
	for key, ttl := range map[string]time.Duration{"for long": long, "for ever": 0} {
		token := s.acquire(key, short)
		s.must(s.Complete(s.Context(), key, token, []byte(key), ttl), "complete")
	}
	s.must(s.Set(s.Context(), "set for ever", []byte("set for ever"), 0), "set")
	s.must(s.Set(s.Context(), "set again", nil, short), "set")
	s.must(s.Set(s.Context(), "set again", []byte("set again"), 0), "set")
	<-time.After(5 * short)
	for _, key := range []string{"for long", "for ever", "set for ever", "set again"} {
		s.holds(key, key, key)
		c := s.claim(key)
		s.is(c, idempotency.Done, key)
		if forever := key != "for long"; s.record(key).ExpiresAt.IsZero() != forever || (c.ExpiresIn == 0) != forever {
			s.Errorf("%s: the record expires at %v, in %v", key, s.record(key).ExpiresAt, c.ExpiresIn)
		}
	}
	c := s.claimWith(idempotency.ClaimRequest{Key: "retained for ever", Lease: short})
	s.is(c, idempotency.Acquired, "claim with retention without expiry")
	s.lapse("retained for ever")
}

func timesAreFinerThanSeconds(s *suite) {
	const odd = 600_250 * time.Millisecond
	token := s.acquire("k", odd)
	rec := s.record("k")
	s.near(rec.ExpiresAt.Sub(rec.CreatedAt), odd, "end of the lease")
	s.must(s.Extend(s.Context(), "k", token, odd), "extend")
	s.must(s.Set(s.Context(), "set", nil, odd), "set")
	rec = s.record("set")
	s.near(rec.ExpiresAt.Sub(rec.CreatedAt), odd, "end of the retention")

	// However short a time is, it is not none: that would mean for ever.
	s.must(s.Set(s.Context(), "set", nil, 1), "set for a nanosecond")
	s.lapse("set")
	s.must(s.Complete(s.Context(), "k", token, nil, 1), "complete for a nanosecond")
	s.lapse("k")
	s.acquire("k", time.Millisecond)
	s.lapse("k")
}

func setStoresForWhoeverHoldsTheKey(s *suite) {
	s.must(s.Set(s.Context(), "absent", []byte("one"), long), "set")
	s.holds("absent", "one", "set on an absent key")
	s.must(s.Set(s.Context(), "absent", []byte("two"), long), "set")
	s.holds("absent", "two", "set on a complete key")
	c := s.claim("absent")
	s.is(c, idempotency.Done, "claim of a key that was set")
	if string(c.Value) != "two" {
		s.Errorf("claim of a key that was set: got %q", c.Value)
	}

	owner := s.acquire("held", long)
	s.must(s.Set(s.Context(), "held", []byte("set"), long), "set on a held key")
	s.lost(s.Complete(s.Context(), "held", owner, []byte("late"), long), "complete after set")
	s.lost(s.Extend(s.Context(), "held", owner, long), "extend after set")
	s.lost(s.Release(s.Context(), "held", owner), "release after set")
	s.lost(s.Complete(s.Context(), "held", idempotency.Token{}, []byte("late"), long), "complete by nobody after set")
	s.holds("held", "set", "set on a held key")
	if rec := s.record("held"); rec.Fence < owner.Fence {
		s.Errorf("set lowered the fence from %d to %d", owner.Fence, rec.Fence)
	}

	s.must(s.Set(s.Context(), "expired", []byte("old"), short), "set")
	s.lapse("expired")
	s.is(s.claim("expired"), idempotency.Acquired, "claim after what was set expired")
}

func deleteRemovesAnyRecord(s *suite) {
	s.must(s.Delete(s.Context(), "absent"), "delete of an absent key")
	owner := s.acquire("pending", long)
	s.must(s.Delete(s.Context(), "pending"), "delete")
	s.absent("pending", "a deleted claim")
	s.lost(s.Complete(s.Context(), "pending", owner, nil, long), "complete after delete")
	s.absent("pending", "a deleted claim after a late complete")
	s.must(s.Set(s.Context(), "complete", []byte("result"), long), "set")
	s.must(s.Delete(s.Context(), "complete"), "delete")
	s.absent("complete", "a deleted result")
	s.is(s.claim("complete"), idempotency.Acquired, "claim of a deleted key")
}

func acquireIsAClaim(s *suite) {
	acquire := func(key string, ttl time.Duration, want bool, what string) {
		s.Helper()
		got, err := s.Acquire(s.Context(), key, ttl)
		s.must(err, "acquire")
		if got != want {
			s.Fatalf("%s: got %v, want %v", what, got, want)
		}
	}
	acquire("k", long, true, "acquire of an absent key")
	acquire("k", long, false, "acquire of a held key")
	s.is(s.claim("k"), idempotency.InProgress, "claim of a key that was acquired")
	s.must(s.Delete(s.Context(), "k"), "delete")
	acquire("k", long, true, "acquire of a deleted key")
	s.must(s.Set(s.Context(), "k", []byte("result"), long), "set")
	acquire("k", long, false, "acquire of a complete key")
	s.holds("k", "result", "acquired and set")
	acquire("lapsed", short, true, "acquire of an absent key")
	s.lapse("lapsed")
	acquire("lapsed", long, true, "acquire of a lapsed key")
	s.acquire("claimed", long)
	acquire("claimed", long, false, "acquire of a claimed key")
}

// keysAreBytes has keys that some backend confuses, cuts, folds or refuses.
func keysAreBytes(s *suite) {
	huge := strings.Repeat("k", 1<<20)
	keys := []string{
		"", " ", "  ", "\x00", "\x00\x00", "a", "A", "a ", " a", "a\x00", "a\x00b", "a\x00c", "ab", "a\n", "a\r\n", "a\t",
		"{a}", "{a}b", "{", "}", "{}", "a{b}c", "a:b", "a::b", "a*", "a?", "[a]", "a%", "a_", `a"`, `a'`, `a\`, "a;--", "$1", "?",
		"caf\u00e9", "cafe\u0301", "CAF\u00c9", "\u00df", "ss", "SS", "\u0130", "i", "\u0131", "\u03a9", "\u2126", "\uff41",
		"\u200ba", "\ufeffa", "\xff", "\xfe", "\xc3", "\xed\xa0\x80", "\U0001F600", "0", "00", "0.0", "1e0", "1", "true", "null", "nil",
		huge, huge + "k", huge[:1<<20-1] + "K", strings.Repeat("k", 512), strings.Repeat("k", 513),
	}
	tokens := make([]idempotency.Token, len(keys))
	for i, key := range keys {
		c := s.claim(key)
		s.is(c, idempotency.Acquired, fmt.Sprintf("claim of key %.40q, of %d bytes", key, len(key)))
		tokens[i] = c.Token
	}
	for i, key := range keys {
		s.must(s.Complete(s.Context(), key, tokens[i], fmt.Append(nil, i), long), "complete")
	}
	for i, key := range keys {
		s.holds(key, fmt.Sprint(i), fmt.Sprintf("key %.40q, of %d bytes", key, len(key)))
	}
}

func valuesAreBytes(s *suite) {
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	values := map[string][]byte{
		"nil": nil, "empty": {}, "NUL": {0}, "every byte": every, "a mebibyte": bytes.Repeat(every, 1<<12), "nested": []byte("*1\r\n$1\r\n"),
	}
	for name, value := range values {
		token := s.acquire(name, long)
		s.must(s.Complete(s.Context(), name, token, value, long), "complete with "+name)
		s.must(s.Set(s.Context(), name+", set", value, long), "set "+name)
		for _, key := range []string{name, name + ", set"} {
			s.holds(key, string(value), key)
			if c := s.claim(key); c.Outcome != idempotency.Done || !bytes.Equal(c.Value, value) {
				s.Errorf("%s: claim got %v with %d bytes, want the value of %d", key, c.Outcome, len(c.Value), len(value))
			}
			if rec := s.record(key); !bytes.Equal(rec.Value, value) {
				s.Errorf("%s: record has %d bytes, want the value of %d", key, len(rec.Value), len(value))
			}
		}
	}
	c := s.claimWith(idempotency.ClaimRequest{Key: "fingerprint", Lease: long, Fingerprint: every[:64]})
	s.is(c, idempotency.Acquired, "claim with a binary fingerprint of the greatest length")
	s.must(s.Extend(s.Context(), "fingerprint", c.Token, long), "extend")
	s.must(s.Complete(s.Context(), "fingerprint", c.Token, every, long), "complete")
	s.holds("fingerprint", string(every), "completed with a binary fingerprint")
	if rec := s.record("fingerprint"); !bytes.Equal(rec.Fingerprint, every[:64]) {
		s.Errorf("got fingerprint %x, want %x", rec.Fingerprint, every[:64])
	}
}

// slicesAreCopied lets no later change of a caller's slice reach the record, nor one caller's that of another.
func slicesAreCopied(s *suite) {
	fingerprint, value := []byte("fingerprint"), []byte("result")
	scribble := func(slices ...[]byte) {
		for _, b := range slices {
			for i := range b {
				b[i] = '!'
			}
		}
	}
	c := s.claimWith(idempotency.ClaimRequest{Key: "k", Lease: long, Fingerprint: fingerprint})
	s.must(s.Complete(s.Context(), "k", c.Token, value, long), "complete")
	s.must(s.Set(s.Context(), "set", []byte("result"), long), "set")
	scribble(fingerprint, value)
	for range 2 {
		for _, key := range []string{"k", "set"} {
			s.holds(key, "result", "after the caller's slice changed")
			done, rec := s.claim(key), s.record(key)
			if string(done.Value) != "result" || string(rec.Value) != "result" {
				s.Fatalf("a changed slice reached the record: claim got %q, record has %q", done.Value, rec.Value)
			}
			if key == "k" && string(rec.Fingerprint) != "fingerprint" {
				s.Fatalf("a changed slice reached the record's fingerprint: %q", rec.Fingerprint)
			}
			got, _, err := s.Get(s.Context(), key)
			s.must(err, "get")
			scribble(got, done.Value, rec.Value, rec.Fingerprint)
		}
	}
	value = []byte("result")
	s.must(s.Set(s.Context(), "set", value, long), "set")
	scribble(value)
	s.holds("set", "result", "after the slice given to set changed")
}
