package redisstore_test

import (
	"crypto/rand"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/steadyfx/steady/patterns/idempotency"
	"github.com/steadyfx/steady/stores/redisstore"
	"github.com/steadyfx/steady/testkit/services"
)

// replicated returns a master and a replica that has caught up.
func replicated(t *testing.T) (master, replica *services.Server) {
	t.Helper()
	master, replica = owned(t), owned(t)
	host, port, err := net.SplitHostPort(master.Addr())
	if err != nil {
		t.Fatal(err)
	}
	if err := dial(t, replica.URL).Do(t.Context(), "REPLICAOF", host, port).Err(); err != nil {
		t.Fatal(err)
	}
	// A replica makes a full copy first, for which the master waits some seconds unless it is told not to.
	client := dial(t, master.URL)
	if err := client.ConfigSet(t.Context(), "repl-diskless-sync-delay", "0").Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the replica has caught up", func() bool {
		if err := client.Set(t.Context(), "caught up", 1, time.Minute).Err(); err != nil {
			t.Fatal(err)
		}
		return client.Wait(t.Context(), 1, 100*time.Millisecond).Val() == 1
	})
	return master, replica
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	late := time.After(time.Minute)
	for !holds() {
		select {
		case <-time.After(20 * time.Millisecond):
		case <-late:
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

func TestWritesWaitForReplicas(t *testing.T) {
	master, replica := replicated(t)
	client := dial(t, master.URL)
	prefix := "test:" + rand.Text() + ":"
	s, err := redisstore.NewIdempotency(client, redisstore.Config{
		KeyPrefix: prefix, Replicas: 1, ReplicaTimeout: 200 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	onMaster, onReplica := openAt(t, dial(t, master.URL), prefix), openAt(t, dial(t, replica.URL), prefix)
	ctx := t.Context()
	held := claim(t, s, idempotency.ClaimRequest{Key: "held", Lease: long})
	if rec, found, err := onReplica.GetRecord(ctx, "held"); err != nil || !found || rec.Fence != held.Fence {
		t.Errorf("the replica has %+v, found %v, error %v, want the claim", rec, found, err)
	}
	if c := claim(t, s, idempotency.ClaimRequest{Key: "held", Lease: long}); c.Outcome != idempotency.InProgress {
		t.Errorf("second claim: got %v", c.Outcome)
	}

	replica.Pause()
	wantNotReplicated := func(what string, err error) {
		t.Helper()
		var unavailable *idempotency.BackendError
		if !errors.Is(err, redisstore.ErrNotReplicated) || !errors.As(err, &unavailable) {
			t.Errorf("%s while the replica hangs: got error %v, want ErrNotReplicated in a *BackendError", what, err)
		}
	}
	_, err = s.Claim(ctx, idempotency.ClaimRequest{Key: "k", Lease: long})
	wantNotReplicated("claim", err)
	if _, found, err := onMaster.GetRecord(ctx, "k"); found || err != nil {
		t.Errorf("the claim that nobody has is not released: found %v, error %v", found, err)
	}
	wantNotReplicated("extend", s.Extend(ctx, "held", held.Token, long))
	wantNotReplicated("complete", s.Complete(ctx, "held", held.Token, []byte("result"), long))
	other, err := redisstore.NewIdempotency(dial(t, master.URL), redisstore.Config{
		KeyPrefix: prefix, Replicas: 1, ReplicaTimeout: 200 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	wantNotReplicated("complete again on another connection", other.Complete(ctx, "held", held.Token, []byte("result"), long))
	if value, _, err := onMaster.Get(ctx, "held"); string(value) != "result" || err != nil {
		t.Errorf("the master has %q, error %v, want the result", value, err)
	}
	wantNotReplicated("set", s.Set(ctx, "set", nil, long))
	// What writes nothing waits for nobody.
	if c := claim(t, s, idempotency.ClaimRequest{Key: "held", Lease: long}); c.Outcome != idempotency.Done {
		t.Errorf("replay while the replica hangs: got %v", c.Outcome)
	}
	if err := s.Release(ctx, "held", held.Token); !errors.Is(err, idempotency.ErrClaimLost) {
		t.Errorf("release while the replica hangs: got %v", err)
	}

	replica.Resume()
	eventually(t, "a completion succeeds when the replica is back", func() bool {
		return s.Complete(ctx, "held", held.Token, []byte("result"), long) == nil
	})
	if value, _, err := onReplica.Get(ctx, "held"); string(value) != "result" || err != nil {
		t.Errorf("the replica has %q, error %v, want the result", value, err)
	}
}

func TestForgottenScriptsAreSentAgainBeforeReplicasAreWaitedFor(t *testing.T) {
	master, _ := replicated(t)
	client := dial(t, master.URL)
	s, err := redisstore.NewIdempotency(client, redisstore.Config{KeyPrefix: "test:" + rand.Text() + ":", Replicas: 1})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := client.ScriptFlush(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		if ok, err := s.Acquire(t.Context(), rand.Text(), long); !ok || err != nil {
			t.Errorf("acquire: got %v, error %v", ok, err)
		}
	}
}

func TestReplicasAreChecked(t *testing.T) {
	single := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"}) // nothing connects
	cluster := redis.NewClusterClient(&redis.ClusterOptions{})
	t.Cleanup(func() {
		if err := errors.Join(single.Close(), cluster.Close()); err != nil {
			t.Error(err)
		}
	})
	for name, tc := range map[string]struct {
		client redis.UniversalClient
		cfg    redisstore.Config
		valid  bool
	}{
		"one":              {single, redisstore.Config{Replicas: 1, ReplicaTimeout: time.Millisecond}, true},
		"a hundred":        {single, redisstore.Config{Replicas: 100}, true},
		"too many":         {single, redisstore.Config{Replicas: 101}, false},
		"negative":         {single, redisstore.Config{Replicas: -1}, false},
		"no time":          {single, redisstore.Config{Replicas: 1, ReplicaTimeout: time.Microsecond}, false},
		"negative time":    {single, redisstore.Config{Replicas: 1, ReplicaTimeout: -1}, false},
		"a cluster":        {cluster, redisstore.Config{Replicas: 1}, false},
		"none, a cluster":  {cluster, redisstore.Config{}, true},
		"something hidden": {struct{ redis.UniversalClient }{single}, redisstore.Config{Replicas: 1}, false},
	} {
		_, err := redisstore.NewIdempotency(tc.client, tc.cfg)
		var configuration *idempotency.ConfigurationError
		if (err == nil) != tc.valid || err != nil && !errors.As(err, &configuration) {
			t.Errorf("%s: got error %v, want it valid: %v", name, err, tc.valid)
		}
	}
}
