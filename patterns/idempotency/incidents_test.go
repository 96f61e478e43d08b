package idempotency_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steadyfx/steady/patterns/idempotency"
)

// The tests of this file are named after incidents of other implementations, each with what went wrong there.

// A claim that was alive was taken for an orphan, because nobody had noted until when it was.
func TestIncident01RunningRequestIsNotAnOrphan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var runs atomic.Int32
		g, _ := newGuard(t, newStore(t), idempotency.Config{Lease: time.Second, TTL: 2 * time.Second})
		h := idempotency.Middleware(g, idempotency.SharedScope)(sleepy(&runs, time.Minute))
		go post(h, "k")
		for range 85 {
			time.Sleep(700 * time.Millisecond)
			wantProblem(t, post(h, "k"), http.StatusConflict, idempotency.CodeConflict, titleRunning)
		}
		time.Sleep(time.Second)
		wantEqual(t, "at the end", post(h, "k").Body.String(), "run 1")
	})
}

// Completing dropped the fingerprint, and honest retries failed.
func TestIncident02CompletingKeepsTheFingerprint(t *testing.T) {
	g, _ := newGuard(t, newStore(t), idempotency.Config{})
	call := idempotency.Call{Operation: "charge", Key: "k", Fingerprint: idempotency.Fingerprint([]byte("a"))}
	runs := 0
	for range 3 {
		if _, err := idempotency.Do(t.Context(), g, call, returning(&runs, 1)); err != nil {
			t.Error(err)
		}
	}
	wantEqual(t, "runs", runs, 1)
	call.Fingerprint = idempotency.Fingerprint([]byte("b"))
	_, err := idempotency.Do(t.Context(), g, call, returning(&runs, 1))
	wantError[*idempotency.DuplicateRequestError](t, err)
}

// A fast path returned what it found without comparing the payload.
func TestIncident03FingerprintOnEveryPath(t *testing.T) {
	for name, cfg := range map[string]idempotency.Config{
		"refused": {}, "waiting": {Wait: time.Minute}, "cached": {CacheEntries: 10},
	} {
		t.Run(name, func(t *testing.T) { fingerprintOnEveryPath(t, cfg) })
	}
}

func fingerprintOnEveryPath(t *testing.T, cfg idempotency.Config) {
	synctest.Test(t, func(t *testing.T) {
		g, events := newGuard(t, newStore(t), cfg)
		call := func(payload string) idempotency.Call {
			return idempotency.Call{Operation: "charge", Key: "k", Fingerprint: idempotency.Fingerprint([]byte(payload))}
		}
		mismatch := func() {
			t.Helper()
			_, err := idempotency.Do(t.Context(), g, call("b"), returning(new(int), 2))
			wantEqual(t, "operation", errorAs[*idempotency.DuplicateRequestError](t, err).Operation, "charge")
		}
		go func() {
			_, _ = idempotency.Do(t.Context(), g, call("a"), func(context.Context) (int, error) {
				time.Sleep(time.Second)
				return 1, nil
			})
		}()
		synctest.Wait()
		mismatch() // in flight
		time.Sleep(2 * time.Second)
		mismatch() // done
		if _, err := idempotency.Do(t.Context(), g, call("a"), returning(new(int), 2)); err != nil {
			t.Error(err)
		}
		mismatch() // replayed
		events.want(t, "idempotency.mismatch", "idempotency.mismatch", "idempotency.hit", "idempotency.mismatch")
	})
}

// A local cache took a result in before the payload was compared, and handed it out.
func TestIncident04CacheHoldsOnlyWhatWasCompared(t *testing.T) {
	store := newStore(t)
	cfg := idempotency.Config{CacheEntries: 10}
	here, _ := newGuard(t, store, cfg)
	there, _ := newGuard(t, store, cfg)
	call := func(g *idempotency.Guard, payload string) error {
		_, err := idempotency.Do(t.Context(), g, idempotency.Call{
			Operation: "charge", Key: "k", Fingerprint: []byte(payload),
		}, returning(new(int), 1))
		return err
	}
	wantEqual(t, "first", call(here, "a"), nil)
	for range 2 {
		wantError[*idempotency.DuplicateRequestError](t, call(there, "b"))
		wantError[*idempotency.DuplicateRequestError](t, call(here, "b"))
	}
	wantEqual(t, "duplicate", call(there, "a"), nil)
	wantError[*idempotency.DuplicateRequestError](t, call(there, "b"))
}

// The order of the keys of an object changed the hash.
func TestIncident05OrderOfMapKeysDoesNotCount(t *testing.T) {
	g, _ := newGuard(t, newStore(t), idempotency.Config{})
	runs := 0
	wrapped := idempotency.Wrap(g, "charge", nil, counting[payment](&runs))
	for i := range 50 {
		notes := map[string]int{}
		for j := range 10 {
			n := (i + j) % 10
			notes[strings.Repeat("Ab"[n%2:n%2+1], n)] = n
		}
		if got, err := wrapped(t.Context(), payment{Notes: notes}); err != nil || got != 1 {
			t.Fatalf("got %d and %v", got, err)
		}
	}
	raw := idempotency.Wrap(g, "raw", nil, counting[json.RawMessage](&runs))
	for _, message := range []string{`{"a":1,"B":{"x":1,"y":2}}`, `{ "B": {"y":2, "x":1}, "a": 1 }`} {
		if got, err := raw(t.Context(), json.RawMessage(message)); err != nil || got != 2 {
			t.Fatalf("got %d and %v", got, err)
		}
	}
}

// A timeout left the record in progress until its long expiry.
func TestIncident06TimeoutFreesTheKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _ := newGuard(t, newStore(t), idempotency.Config{TTL: 24 * time.Hour})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := idempotency.Do(ctx, g, charge("k"), func(ctx context.Context) (int, error) {
			<-ctx.Done()
			return 0, ctx.Err()
		})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if _, err = idempotency.Do(t.Context(), g, charge("k"), returning(new(int), 1)); err != nil {
			t.Errorf("retry: %v", err)
		}
	})
}

// After a crash the key was blocked for as long as results are kept.
func TestIncident07CrashBlocksTheKeyForTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newStore(t)
		g, _ := newGuard(t, store, idempotency.Config{TTL: 24 * time.Hour, Lease: 10 * time.Second})
		_, err := store.Claim(t.Context(), idempotency.ClaimRequest{Key: "6:charge0:k", Lease: 10 * time.Second})
		if err != nil {
			t.Fatal(err) // the claim of a process that is no more
		}
		time.Sleep(10*time.Second - time.Millisecond)
		_, err = idempotency.Do(t.Context(), g, charge("k"), returning(new(int), 1))
		wantEqual(t, "left", errorAs[*idempotency.ConflictError](t, err).RetryAfter, time.Millisecond)
		time.Sleep(time.Millisecond)
		if _, err = idempotency.Do(t.Context(), g, charge("k"), returning(new(int), 1)); err != nil {
			t.Errorf("after the lease: %v", err)
		}
	})
}

// Asking and claiming were two steps, and concurrent duplicates ran.
func TestIncident08ConcurrentDuplicatesRunOnce(t *testing.T) {
	var runs atomic.Int32
	g, _ := newGuard(t, newStore(t), idempotency.Config{})
	wrapped := idempotency.Wrap(g, "charge", nil, func(context.Context, payment) (int32, error) {
		runtime.Gosched()
		return runs.Add(1), nil
	})
	for order := range 50 {
		runs.Store(0)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() { _, _ = wrapped(t.Context(), payment{Order: strconv.Itoa(order)}) })
		}
		wg.Wait()
		wantEqual(t, "runs", runs.Load(), 1)
	}
}

// The replay had another status than the first response, or lacked its Location and ETag.
func TestIncident09ReplayKeepsStatusAndHeaders(t *testing.T) {
	h := guarded(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "/orders/1")
		w.Header().Set("ETag", `"1"`)
		w.WriteHeader(http.StatusNotAcceptable)
	}))
	for range 2 {
		w := post(h, "k")
		got := fmt.Sprintf("%d %s %s", w.Code, w.Header().Get("Location"), w.Header().Get("ETag"))
		wantEqual(t, "response", got, `406 /orders/1 "1"`)
	}
}

// The hash of arguments ended in a failure, or in another key each time, for what is not data.
func TestIncident10ArgumentsThatAreNotDataAreRefused(t *testing.T) {
	type cycle struct{ Next *cycle }
	loop := &cycle{}
	loop.Next = loop
	for name, argument := range map[string]any{
		"function": func() {}, "channel": make(chan int), "in a struct": struct{ F func() }{},
		"in a slice": []any{1, make(chan int)}, "cycle": loop, "panic": stubborn(true),
		"context": t.Context(), "context in a struct": struct{ Ctx context.Context }{t.Context()},
	} {
		store := newStore(t)
		g, _ := newGuard(t, store, idempotency.Config{})
		runs := 0
		for _, key := range []func(any) string{nil, func(any) string { return "k" }} {
			_, err := idempotency.Wrap(g, "charge", key, counting[any](&runs))(t.Context(), argument)
			wantError[*idempotency.ConfigurationError](t, err)
			wantEqual(t, name+": fields", fieldsOf(err), []string{"argument"})
		}
		wantEqual(t, name+": runs", runs, 0)
		wantEqual(t, name+": claims", store.count("claim"), 0)
	}
}

// A client could not tell a replay from a first response.
func TestIncident11ReplayIsMarked(t *testing.T) {
	var runs atomic.Int32
	h := guarded(t, counted(&runs))
	wantEqual(t, "first", post(h, "k").Header().Values("Idempotent-Replayed"), nil)
	wantEqual(t, "second", post(h, "k").Header().Values("Idempotent-Replayed"), []string{"true"})
}

// A response that was too large to be stored was made again by every retry.
func TestIncident12OversizedResponseIsNotMadeTwice(t *testing.T) {
	runs := 0
	h := guarded(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		runs++
		_, _ = w.Write(make([]byte, 1<<20+1))
	}))
	wantEqual(t, "length", post(h, "k").Body.Len(), 1<<20+1)
	wantProblem(t, post(h, "k"), http.StatusGone, idempotency.CodeNotReplayable, titleNotKept)
	wantEqual(t, "runs", runs, 1)
}

// A second client was logged in with the cookie of the first.
func TestIncident13CredentialsAreNotReplayed(t *testing.T) {
	names := []string{"Set-Cookie", "Www-Authenticate", "Proxy-Authenticate", "Authorization"}
	h := guarded(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for _, name := range names {
			w.Header().Set(name, "secret")
		}
	}))
	first, second := post(h, "k"), post(h, "k")
	for _, name := range names {
		wantEqual(t, "first "+name, first.Header().Get(name), "secret")
		wantEqual(t, "second "+name, second.Header().Get(name), "")
	}
}

// The disconnect of the client cancelled the write of the result, and the retry ran again.
func TestIncident14DisconnectKeepsTheResult(t *testing.T) {
	var runs atomic.Int32
	inHandler, over := make(chan struct{}), make(chan struct{})
	var outer context.Context
	var inner error
	h := guarded(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		runs.Add(1)
		close(inHandler)
		<-outer.Done() // the server has noticed
		inner = r.Context().Err()
		w.WriteHeader(http.StatusCreated)
	}))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if outer == nil {
			outer = r.Context()
			defer close(over)
		}
		h.ServeHTTP(w, r)
	}))
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-inHandler
		cancel()
	}()
	if _, err := postTo(ctx, server, "k"); !errors.Is(err, context.Canceled) {
		t.Fatalf("first: %v", err)
	}
	<-over
	wantEqual(t, "error of the handler's context", inner, nil)
	resp, err := postTo(t.Context(), server, "k")
	if err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "retry", fmt.Sprintf("%d %s", resp.status, resp.header.Get("Idempotent-Replayed")), "201 true")
	wantEqual(t, "runs", runs.Load(), 1)
}

// The time to live meant "once, for ever".
func TestIncident15ExpiredResultIsMadeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _ := newGuard(t, newStore(t), idempotency.Config{TTL: time.Minute})
		runs := 0
		for range 3 {
			if _, err := idempotency.Do(t.Context(), g, charge("k"), returning(&runs, 1)); err != nil {
				t.Error(err)
			}
			time.Sleep(time.Minute)
		}
		wantEqual(t, "runs", runs, 3)
	})
}

// Between an insert that was lost and the look at what was there, the record went away, and a request ran without one.
func TestIncident16RecordThatVanishesLetsOneActAtATime(t *testing.T) {
	onEveryBackend(t, func(t *testing.T, b backend) {
		const failures, clients = 20, 8
		g, _ := newGuard(t, b.store, idempotency.Config{})
		var acting, runs, done atomic.Int32
		h := idempotency.Middleware(g, idempotency.SharedScope)(
			http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if n := acting.Add(1); n != 1 {
					t.Errorf("%d requests act at once", n)
				}
				defer acting.Add(-1)
				if _, claimed := idempotency.FenceOf(r.Context()); !claimed {
					t.Error("a request acts without a claim")
				}
				runtime.Gosched()
				if runs.Add(1) <= failures { // which removes the record
					w.WriteHeader(http.StatusInternalServerError)
				}
			}))
		var wg sync.WaitGroup
		for range clients {
			wg.Go(func() {
				for range 5000 {
					switch w := post(h, "k"); w.Code {
					case http.StatusOK:
						done.Add(1)
						return
					case http.StatusInternalServerError, http.StatusConflict:
					default:
						t.Errorf("status %d: %s", w.Code, w.Body)
					}
				}
			})
		}
		wg.Wait()
		wantEqual(t, "runs", runs.Load(), failures+1)
		wantEqual(t, "clients with the response", done.Load(), clients)
	})
}

// The cleanup removed claims of calls that were running.
func TestIncident17CleanupSparesRunningCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newStore(t)
		g, events := newGuard(t, store, idempotency.Config{Lease: time.Second})
		j, _ := newJanitor(t, store, idempotency.Config{CleanupInterval: 300 * time.Millisecond})
		j.Start()
		_, err := idempotency.Do(t.Context(), g, charge("k"), func(ctx context.Context) (int, error) {
			time.Sleep(time.Minute)
			return 1, ctx.Err()
		})
		wantEqual(t, "error", err, nil)
		if err := j.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		if store.count("cleanup") < 150 {
			t.Errorf("%d cleanups", store.count("cleanup"))
		}
		events.want(t)
	})
}

// An owner whose lease had run out overwrote the result of the one that had taken over.
func TestIncident18StaleOwnerStoresNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newStore(t).failing("extend")
		g, events := newGuard(t, store, idempotency.Config{Lease: 10 * time.Second})
		cause, stale := running(t, g, 5*time.Second)
		first := make(chan idempotency.Result[string], 1)
		go func() { // deaf to its context: does not stop when it should
			res, err := idempotency.Do(t.Context(), g, charge("slow"), func(context.Context) (string, error) {
				time.Sleep(time.Minute)
				return "stale", nil
			})
			wantEqual(t, "error", err, nil)
			first <- res
		}()
		time.Sleep(30 * time.Second)
		second, err := idempotency.Do(t.Context(), g, charge("slow"), returning(new(int), "fresh"))
		if err != nil {
			t.Fatal(err)
		}
		res := <-first
		wantEqual(t, "value of the stale owner", res.Value, "stale")
		if res.Fence >= second.Fence {
			t.Errorf("fence %d of the stale owner, %d of the next", res.Fence, second.Fence)
		}
		third, err := idempotency.Do(t.Context(), g, charge("slow"), returning(new(int), "third"))
		wantEqual(t, "stored", fmt.Sprintf("%s %t %v", third.Value, third.Fence == second.Fence, err), "fresh true <nil>")
		wantEqual(t, "cause of a call shorter than the lease", cause(), nil)
		if _, err := stale(); err != nil {
			t.Error(err)
		}
		events.want(t, "idempotency.claim_lost", "idempotency.hit")
	})
}

// One tenant got the response of another that had used the same key.
func TestIncident19ScopesDoNotShareResults(t *testing.T) {
	g, _ := newGuard(t, newStore(t), idempotency.Config{})
	for _, scope := range []string{"", "a", "b"} {
		call := idempotency.Call{Operation: "charge", Scope: scope, Key: "k"}
		if res, err := idempotency.Do(t.Context(), g, call, returning(new(int), scope)); err != nil || res.Value != scope {
			t.Errorf("scope %q: got %+v and %v", scope, res, err)
		}
	}
}

// A key was good for any route.
func TestIncident20KeyBelongsToMethodAndRoute(t *testing.T) {
	var runs atomic.Int32
	h := guarded(t, counted(&runs))
	send(h, request("POST", "/orders", "k", ""))
	send(h, request("PATCH", "/orders", "k", ""))
	send(h, request("POST", "/refunds", "k", ""))
	wantEqual(t, "runs", runs.Load(), 3)
}

// The key was freed on one of the ways out of the handler only. What the client has begun to receive is not made again
// instead: the key is settled, and not stuck either.
func TestIncident21EveryWayOutFreesTheKey(t *testing.T) {
	for name, way := range map[string]http.HandlerFunc{
		"status":     func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		"panic":      func(http.ResponseWriter, *http.Request) { panic("ouch") },
		"abort":      func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"panic(nil)": func(http.ResponseWriter, *http.Request) { panic(nil) }, //nolint:govet // on purpose
		"goexit":     func(http.ResponseWriter, *http.Request) { runtime.Goexit() },
		"flushed, then a panic": func(w http.ResponseWriter, _ *http.Request) {
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		},
		"large, then a panic": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(make([]byte, 1<<21))
			panic(http.ErrAbortHandler)
		},
		"flushed failure": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusServiceUnavailable)
			w.(http.Flusher).Flush()
		},
	} {
		t.Run(name, func(t *testing.T) {
			first := true
			h := guarded(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if first {
					first = false
					way(w, r)
				}
			}))
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				defer func() { _ = recover() }()
				post(h, "k")
			}()
			<-ended
			w := post(h, "k")
			want := `200 ""`
			if strings.HasSuffix(name, "then a panic") {
				want = `410 ""`
			}
			wantEqual(t, "retry", fmt.Sprintf("%d %q", w.Code, w.Header().Get("Idempotent-Replayed")), want)
		})
	}
}

// The store was down, the guard let everything pass, and salaries were paid twice.
func TestIncident22StoreOutageRunsNothing(t *testing.T) {
	var runs atomic.Int32
	g, _ := newGuard(t, newStore(t).failing("claim"), idempotency.Config{})
	h := idempotency.Middleware(g, idempotency.SharedScope)(counted(&runs))
	for range 3 {
		wantProblem(t, post(h, "k"), http.StatusServiceUnavailable, idempotency.CodeBackend, titleDown)
	}
	wantEqual(t, "with a key", runs.Load(), 0)
	wantEqual(t, "without", post(h, "").Code, http.StatusCreated)
}

// A store that functions shared was configured anew by each, and keys got the prefix of another.
func TestIncident23SharedGuardKeepsCallsApart(t *testing.T) {
	g, _ := newGuard(t, newStore(t), idempotency.Config{})
	var wg sync.WaitGroup
	for i := range 16 {
		name := strconv.Itoa(i)
		wrapped := idempotency.Wrap(g, name, func(string) string { return "k" },
			func(context.Context, string) (string, error) { return name, nil })
		wg.Go(func() {
			for range 50 {
				if got, err := wrapped(t.Context(), ""); err != nil || got != name {
					t.Errorf("operation %s: got %q and %v", name, got, err)
				}
			}
		})
	}
	wg.Wait()
}

// A script used two keys, which a cluster keeps on different nodes.
func TestIncident24EachCommandIsForOneKey(t *testing.T) {
	var sent commands
	g, _ := newGuard(t, onRedis(t, redisOptions(t), &sent), idempotency.Config{Lease: 100 * time.Millisecond})
	h := idempotency.Middleware(g, idempotency.SharedScope)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/failing" {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		before := len(sent.all())
		until(t, "the claim is extended", func() bool { return len(sent.all()) > before })
	}))
	for _, path := range []string{"/failing", "/", "/"} {
		send(h, request("POST", path, "k", ""))
	}
	keys := map[string]bool{}
	for _, args := range sent.all() {
		name, _ := args[0].(string)
		if name = strings.ToLower(name); name != "eval" && name != "evalsha" {
			continue // of the connection, or to load a script
		}
		wantEqual(t, "keys", fmt.Sprint(args[2]), "1")
		keys[fmt.Sprint(args[3])] = true
	}
	wantEqual(t, "records", len(keys), 2)
}

// A 422 of the guard could not be told from one of the handler.
func TestIncident25AnswersOfTheGuardHaveACode(t *testing.T) {
	h := guarded(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusUnprocessableEntity)
		_, _ = io.WriteString(w, `{"error":"the amount is negative"}`)
	}))
	wantEqual(t, "handler", post(h, "k").Body.String(), `{"error":"the amount is negative"}`)
	wantEqual(t, "replay", post(h, "k").Body.String(), `{"error":"the amount is negative"}`)
	w := send(h, request("POST", "/orders", "k", "another"))
	wantProblem(t, w, http.StatusUnprocessableEntity, idempotency.CodeDuplicate, titleReused)
}

// A cleanup removed what callers of a key met at, and those who came later met somewhere else.
func TestIncident26OneWaiterThatLeavesTakesNothingFromTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _ := newGuard(t, newStore(t), idempotency.Config{Wait: time.Hour})
		occupy(t, g, 30*time.Second, func() (int, error) { return 1, nil })
		began := time.Now()
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * time.Second)
				leaves, limit := i%2 == 0, time.Hour
				if leaves {
					limit = 1500 * time.Millisecond
				}
				ctx, cancel := context.WithTimeout(t.Context(), limit)
				defer cancel()
				_, err := idempotency.Do(ctx, g, charge("k"), returning(new(int), 2))
				if leaves != errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("call %d: %v", i, err)
				} else if !leaves {
					wantEqual(t, "woken", time.Since(began), 30*time.Second)
				}
			})
		}
		wg.Wait()
	})
}

// A second order, equal to the first but with a key of its own, was refused.
func TestIncident27EqualPayloadsWithDifferentKeysBothRun(t *testing.T) {
	var runs atomic.Int32
	h := guarded(t, counted(&runs))
	wantEqual(t, "first", post(h, "a").Body.String(), "run 1")
	wantEqual(t, "second", post(h, "b").Body.String(), "run 2")
}
