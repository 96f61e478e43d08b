package storetest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/steadyfx/steady/patterns/idempotency"
	"github.com/steadyfx/steady/stores/memstore"
)

// mistake is a way to get a store wrong, and the checks that must notice.
type mistake struct {
	name     string
	caughtBy []string
	spoil    func(*memstore.Idempotency) idempotency.Store
}

// claims replaces the answers to claims.
func claims(change func(req idempotency.ClaimRequest, c *idempotency.Claim)) func(*memstore.Idempotency) idempotency.Store {
	return spoil(func(s *spoiled) {
		s.claim = func(ctx context.Context, req idempotency.ClaimRequest) (idempotency.Claim, error) {
			c, err := s.Idempotency.Claim(ctx, req)
			change(req, &c)
			return c, err
		}
	})
}

// keys replaces every key.
func keys(change func(key string) string) func(*memstore.Idempotency) idempotency.Store {
	return spoil(func(s *spoiled) {
		m := s.Idempotency
		s.claim = func(ctx context.Context, req idempotency.ClaimRequest) (idempotency.Claim, error) {
			req.Key = change(req.Key)
			return m.Claim(ctx, req)
		}
		s.complete = func(ctx context.Context, key string, token idempotency.Token, value []byte, ttl time.Duration) error {
			return m.Complete(ctx, change(key), token, value, ttl)
		}
		s.get = func(ctx context.Context, key string) ([]byte, bool, error) { return m.Get(ctx, change(key)) }
	})
}

// steal makes a call that only the owner may make go through for anybody.
func steal(ctx context.Context, m *memstore.Idempotency, key string) idempotency.Token {
	rec, found, err := m.GetRecord(ctx, key)
	if err != nil || !found || rec.Status != idempotency.StatusPending {
		return idempotency.Token{}
	}
	if err := m.Delete(ctx, key); err != nil {
		return idempotency.Token{}
	}
	c, err := m.Claim(ctx, idempotency.ClaimRequest{Key: key, Lease: long, Fingerprint: rec.Fingerprint})
	if err != nil {
		return idempotency.Token{}
	}
	return c.Token
}

// lapsedIsLost refuses what comes after the lease, though nobody has taken over.
func lapsedIsLost(ctx context.Context, m *memstore.Idempotency, key string) error {
	if !m.Has(key) {
		return idempotency.ErrClaimLost
	}
	return ctx.Err()
}

var mistakes = []mistake{
	{"fence of the claim is not that of the token", []string{"FirstClaimIsAcquired"},
		claims(func(_ idempotency.ClaimRequest, c *idempotency.Claim) { c.Token.Fence++ })},
	{"fingerprint is not stored", []string{"FirstClaimIsAcquired", "FingerprintIsComparedOnEveryPath", "ValuesAreBytes"},
		spoil(func(s *spoiled) {
			s.claim = func(ctx context.Context, req idempotency.ClaimRequest) (idempotency.Claim, error) {
				req.Fingerprint = nil
				return s.Idempotency.Claim(ctx, req)
			}
		})},
	{"in progress for no time", []string{"SecondClaimIsInProgress"},
		claims(func(_ idempotency.ClaimRequest, c *idempotency.Claim) { c.RetryAfter = 0 })},
	{"claim is reentrant", []string{"SecondClaimIsInProgress", "OneClaimantWinsAFreshKey"},
		claims(func(_ idempotency.ClaimRequest, c *idempotency.Claim) {
			if c.Outcome == idempotency.InProgress {
				*c = idempotency.Claim{Outcome: idempotency.Acquired, Token: idempotency.Token{Fence: c.Fence}, Fence: c.Fence}
			}
		})},
	{"done without the result", []string{"CompletedClaimIsDone", "ValuesAreBytes"},
		claims(func(_ idempotency.ClaimRequest, c *idempotency.Claim) { c.Value = nil })},
	{"done without an age", []string{"CompletedClaimIsDone"},
		claims(func(_ idempotency.ClaimRequest, c *idempotency.Claim) { c.Age = 0 })},
	{"age since the claim", []string{"CompletedClaimIsDone"},
		claims(func(_ idempotency.ClaimRequest, c *idempotency.Claim) {
			if c.Outcome == idempotency.Done {
				c.Age += short
			}
		})},
	{"done without an end", []string{"CompletedClaimIsDone", "ResultExpires", "ResultOutlivesTheLease"},
		claims(func(_ idempotency.ClaimRequest, c *idempotency.Claim) { c.ExpiresIn = 0 })},
	{"done for as long as the claimant would keep it", []string{"CompletedClaimIsDone", "ResultExpires", "ResultOutlivesTheLease"},
		claims(func(req idempotency.ClaimRequest, c *idempotency.Claim) {
			if c.Outcome == idempotency.Done {
				c.ExpiresIn = req.Retention
			}
		})},
	{"completing drops the fingerprint", []string{"CompletedClaimIsDone", "FingerprintIsComparedOnEveryPath"}, // pitfall 2
		spoil(func(s *spoiled) {
			s.complete = func(ctx context.Context, key string, token idempotency.Token, value []byte, ttl time.Duration) error {
				if err := s.Idempotency.Complete(ctx, key, token, value, ttl); err != nil {
					return err
				}
				return s.Idempotency.Set(ctx, key, value, ttl)
			}
		})},
	{"replay skips the comparison", []string{"FingerprintIsComparedOnEveryPath"}, // pitfall 3
		spoil(func(s *spoiled) {
			s.claim = func(ctx context.Context, req idempotency.ClaimRequest) (idempotency.Claim, error) {
				if _, found, err := s.Get(ctx, req.Key); err == nil && found {
					req.Fingerprint = nil
				}
				return s.Idempotency.Claim(ctx, req)
			}
		})},
	{"one owner for the process", []string{"EachClaimHasItsOwnToken"},
		claims(func(_ idempotency.ClaimRequest, c *idempotency.Claim) {
			if c.Outcome == idempotency.Acquired {
				c.Token.Owner = [16]byte{1}
			}
		})},
	{"fence starts anew", []string{"EachClaimHasItsOwnToken", "ResultExpires"},
		claims(func(_ idempotency.ClaimRequest, c *idempotency.Claim) { c.Fence, c.Token.Fence = 1, 1 })},
	{"anybody completes", []string{"LateOwnerLosesItsClaim", "OnlyTheOwnerActs", "LateOwnerOrNewOne"},
		spoil(func(s *spoiled) {
			s.complete = func(ctx context.Context, key string, _ idempotency.Token, value []byte, ttl time.Duration) error {
				return s.Idempotency.Set(ctx, key, value, ttl)
			}
		})},
	{"anybody extends", []string{"LateOwnerLosesItsClaim", "OnlyTheOwnerActs"},
		spoil(func(s *spoiled) {
			s.extend = func(ctx context.Context, key string, _ idempotency.Token, lease time.Duration) error {
				return s.Idempotency.Extend(ctx, key, steal(ctx, s.Idempotency, key), lease)
			}
		})},
	{"anybody releases", []string{"LateOwnerLosesItsClaim", "OnlyTheOwnerActs", "ReleasedKeyIsAbsent"},
		spoil(func(s *spoiled) {
			s.release = func(ctx context.Context, key string, _ idempotency.Token) error {
				return s.Idempotency.Delete(ctx, key)
			}
		})},
	{"lapsed claim is lost", []string{"LapsedClaimIsStillItsOwners"},
		spoil(func(s *spoiled) {
			s.complete = func(ctx context.Context, key string, token idempotency.Token, value []byte, ttl time.Duration) error {
				return errors.Join(lapsedIsLost(ctx, s.Idempotency, key), s.Idempotency.Complete(ctx, key, token, value, ttl))
			}
		})},
	{"extending does nothing", []string{"ExtendedClaimLasts", "LapsedClaimIsStillItsOwners", "HeartbeatKeepsTheClaim"},
		spoil(func(s *spoiled) {
			s.extend = func(context.Context, string, idempotency.Token, time.Duration) error { return nil }
		})},
	{"releasing does nothing", []string{"ReleasedKeyIsAbsent", "LapsedClaimIsStillItsOwners"},
		spoil(func(s *spoiled) {
			s.release = func(context.Context, string, idempotency.Token) error { return nil }
		})},
	{"completing again replaces the result", []string{"CompletingAgainChangesNothing"},
		spoil(func(s *spoiled) {
			s.complete = func(ctx context.Context, key string, token idempotency.Token, value []byte, ttl time.Duration) error {
				err := s.Idempotency.Complete(ctx, key, token, value, ttl)
				if err == nil && s.Has(key) {
					return s.Idempotency.Set(ctx, key, value, ttl)
				}
				return err
			}
		})},
	{"results never expire", []string{"ResultExpires", "TimesAreFinerThanSeconds", "OneClaimantWinsAnExpiredResult"},
		spoil(func(s *spoiled) {
			s.complete = func(ctx context.Context, key string, token idempotency.Token, value []byte, _ time.Duration) error {
				return s.Idempotency.Complete(ctx, key, token, value, 0)
			}
		})},
	{"leases are cut short", []string{"NothingExpiresEarly"},
		spoil(func(s *spoiled) {
			s.extend = func(ctx context.Context, key string, token idempotency.Token, lease time.Duration) error {
				return s.Idempotency.Extend(ctx, key, token, max(lease/2, time.Millisecond))
			}
		})},
	{"a cancelled call keeps its claim", []string{"CancelledCallsLeaveTheStoreUsable"},
		spoil(func(s *spoiled) {
			s.claim = func(ctx context.Context, req idempotency.ClaimRequest) (idempotency.Claim, error) {
				if ctx.Err() != nil {
					_, err := s.Idempotency.Claim(context.WithoutCancel(ctx), idempotency.ClaimRequest{Key: req.Key, Lease: 100 * long})
					return idempotency.Claim{}, err
				}
				return s.Idempotency.Claim(ctx, req)
			}
			s.delete = func(context.Context, string) error { return nil }
		})},
	{"without expiry means an hour", []string{"ResultOutlivesTheLease"},
		spoil(func(s *spoiled) {
			s.set = func(ctx context.Context, key string, value []byte, ttl time.Duration) error {
				if ttl == 0 {
					ttl = time.Hour
				}
				return s.Idempotency.Set(ctx, key, value, ttl)
			}
		})},
	{"result expires with the lease", []string{"ResultOutlivesTheLease"},
		spoil(func(s *spoiled) {
			s.complete = func(ctx context.Context, key string, token idempotency.Token, value []byte, ttl time.Duration) error {
				if rec, found, err := s.GetRecord(ctx, key); err == nil && found {
					ttl = time.Until(rec.ExpiresAt)
				}
				return s.Idempotency.Complete(ctx, key, token, value, ttl)
			}
		})},
	{"leases are whole seconds", []string{"TimesAreFinerThanSeconds"},
		spoil(func(s *spoiled) {
			s.claim = func(ctx context.Context, req idempotency.ClaimRequest) (idempotency.Claim, error) {
				req.Lease = (req.Lease + time.Second - 1).Truncate(time.Second)
				return s.Idempotency.Claim(ctx, req)
			}
		})},
	{"less than a millisecond is without expiry", []string{"TimesAreFinerThanSeconds"},
		spoil(func(s *spoiled) {
			s.set = func(ctx context.Context, key string, value []byte, ttl time.Duration) error {
				return s.Idempotency.Set(ctx, key, value, ttl.Truncate(time.Millisecond))
			}
		})},
	{"set respects the claim of another", []string{"SetStoresForWhoeverHoldsTheKey"},
		spoil(func(s *spoiled) {
			s.set = func(ctx context.Context, key string, value []byte, ttl time.Duration) error {
				if rec, found, err := s.GetRecord(ctx, key); err == nil && found && rec.Status == idempotency.StatusPending {
					return nil
				}
				return s.Idempotency.Set(ctx, key, value, ttl)
			}
		})},
	{"delete only of results", []string{"DeleteRemovesAnyRecord"},
		spoil(func(s *spoiled) {
			s.delete = func(ctx context.Context, key string) error {
				if rec, found, err := s.GetRecord(ctx, key); err == nil && found && rec.Status == idempotency.StatusPending {
					return nil
				}
				return s.Idempotency.Delete(ctx, key)
			}
		})},
	{"delete of nothing is an error", []string{"DeleteRemovesAnyRecord"},
		spoil(func(s *spoiled) {
			s.delete = func(ctx context.Context, key string) error {
				if !s.Has(key) {
					return errors.New("not found")
				}
				return s.Idempotency.Delete(ctx, key)
			}
		})},
	{"acquire looks for results only", []string{"AcquireIsAClaim"},
		spoil(func(s *spoiled) {
			s.acquire = func(ctx context.Context, key string, _ time.Duration) (bool, error) {
				_, found, err := s.Get(ctx, key)
				return !found, err
			}
		})},
	{"keys are folded", []string{"KeysAreBytes"}, keys(strings.ToLower)},
	{"keys end before spaces", []string{"KeysAreBytes"}, keys(strings.TrimSpace)},
	{"keys end at NUL", []string{"KeysAreBytes"},
		keys(func(key string) string { key, _, _ = strings.Cut(key, "\x00"); return key })},
	{"keys are cut", []string{"KeysAreBytes"}, keys(func(key string) string { return key[:min(len(key), 512)] })},
	{"keys are UTF-8", []string{"KeysAreBytes"}, keys(func(key string) string { return strings.ToValidUTF8(key, "?") })},
	{"values end at NUL", []string{"ValuesAreBytes"},
		spoil(func(s *spoiled) {
			s.set = func(ctx context.Context, key string, value []byte, ttl time.Duration) error {
				text, _, _ := strings.Cut(string(value), "\x00")
				return s.Idempotency.Set(ctx, key, []byte(text), ttl)
			}
		})},
	{"slices are kept", []string{"SlicesAreCopied"}, aliasing},
	{"arguments are not checked", []string{"ArgumentsOutOfRangeAreRefused"},
		spoil(func(s *spoiled) {
			s.set = func(ctx context.Context, key string, value []byte, ttl time.Duration) error {
				return s.Idempotency.Set(ctx, key, value, max(ttl, 0))
			}
		})},
	{"context is ignored", []string{"ContextThatIsOverIsObeyed"},
		spoil(func(s *spoiled) {
			s.complete = func(ctx context.Context, key string, token idempotency.Token, value []byte, ttl time.Duration) error {
				return s.Idempotency.Complete(context.WithoutCancel(ctx), key, token, value, ttl)
			}
		})},
	{"error quotes the key", []string{"ErrorsAreDiscreet"},
		spoil(func(s *spoiled) {
			s.release = func(ctx context.Context, key string, token idempotency.Token) error {
				if err := s.Idempotency.Release(ctx, key, token); err != nil {
					return fmt.Errorf("release %q: %w", key, err)
				}
				return nil
			}
		})},
	{"cleanup has no limit", []string{"CleanupRemovesOnlyExpired"},
		spoil(func(s *spoiled) {
			s.cleanup = func(ctx context.Context, _ int) (int, error) { return s.Idempotency.CleanupExpired(ctx, s.Size()) }
		})},
	{"cleanup removes everything", []string{"CleanupRemovesOnlyExpired", "CleanupSparesTakenOverClaims"},
		spoil(func(s *spoiled) {
			s.cleanup = func(context.Context, int) (int, error) { s.Clear(); return 0, nil }
		})},
	{"cleanup looks, then deletes", []string{"CleanupSparesTakenOverClaims"}, sweeping}, // pitfall 17
	{"claims are not atomic", []string{"OneClaimantWinsAFreshKey", "OneClaimantWinsALapsedClaim", "OneClaimantWinsAnExpiredResult"}, // pitfall 8
		func(m *memstore.Idempotency) idempotency.Store { return &getThenSet{m} }},
	{"stale result is replayed", []string{"ResultExpires", "OneClaimantWinsAnExpiredResult"}, replaying},
	{"backend is down", []string{"PingAnswers"},
		spoil(func(s *spoiled) {
			s.ping = func(context.Context) error { return errors.New("down") }
		})},
}

// aliasing hands the caller's slice to everybody who asks.
func aliasing(m *memstore.Idempotency) idempotency.Store {
	kept := map[string][]byte{}
	return spoil(func(s *spoiled) {
		s.set = func(ctx context.Context, key string, value []byte, ttl time.Duration) error {
			kept[key] = value
			return m.Set(ctx, key, value, ttl)
		}
		s.get = func(ctx context.Context, key string) ([]byte, bool, error) {
			if value, ok := kept[key]; ok {
				return value, true, nil
			}
			return m.Get(ctx, key)
		}
	})(m)
}

// sweeping removes what was expired when it looked.
func sweeping(m *memstore.Idempotency) idempotency.Store {
	var claimed sync.Map
	return spoil(func(s *spoiled) {
		s.claim = func(ctx context.Context, req idempotency.ClaimRequest) (idempotency.Claim, error) {
			claimed.Store(req.Key, true)
			return m.Claim(ctx, req)
		}
		s.cleanup = func(ctx context.Context, limit int) (int, error) {
			var expired []string
			claimed.Range(func(key, _ any) bool {
				if !m.Has(key.(string)) {
					expired = append(expired, key.(string))
				}
				return len(expired) < limit
			})
			runtime.Gosched()
			for _, key := range expired {
				if err := m.Delete(ctx, key); err != nil {
					return 0, err
				}
			}
			return len(expired), nil
		}
	})(m)
}

// replaying answers with the last result that it has seen, expired or not.
func replaying(m *memstore.Idempotency) idempotency.Store {
	var last sync.Map
	return spoil(func(s *spoiled) {
		s.complete = func(ctx context.Context, key string, token idempotency.Token, value []byte, ttl time.Duration) error {
			last.LoadOrStore(key, string(value))
			return m.Complete(ctx, key, token, value, ttl)
		}
		s.claim = func(ctx context.Context, req idempotency.ClaimRequest) (idempotency.Claim, error) {
			c, err := m.Claim(ctx, req)
			if value, ok := last.Load(req.Key); ok && c.Outcome != idempotency.Acquired {
				c = idempotency.Claim{Outcome: idempotency.Done, Value: []byte(value.(string)), Fence: c.Fence}
			}
			return c, err
		}
		s.get = func(ctx context.Context, key string) ([]byte, bool, error) {
			if value, ok := last.Load(key); ok {
				return []byte(value.(string)), true, nil
			}
			return m.Get(ctx, key)
		}
	})(m)
}
