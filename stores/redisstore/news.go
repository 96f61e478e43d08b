package redisstore

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// news tells who watches a key that it may have changed. It listens to one channel, in one goroutine and with one
// connection, for as long as anybody watches anything.
type news struct {
	client  redis.UniversalClient
	channel string
	poll    time.Duration // how long to do without news, for a watch and for the connection
	retry   time.Duration // between two tries to reach Redis

	mu       sync.Mutex
	watchers map[string]map[chan struct{}]bool // by Redis key
	stop     context.CancelFunc                // of the goroutine; nil if there is none
}

// join returns a channel that gets a value, or holds one already, when the key may have changed.
func (n *news) join(redisKey string) chan struct{} {
	changed := make(chan struct{}, 1)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.watchers[redisKey] == nil {
		if n.watchers == nil {
			n.watchers = map[string]map[chan struct{}]bool{}
		}
		n.watchers[redisKey] = map[chan struct{}]bool{}
	}
	n.watchers[redisKey][changed] = true
	if n.stop == nil {
		var ctx context.Context
		ctx, n.stop = context.WithCancel(context.Background())
		go n.listen(ctx)
	}
	return changed
}

// leave undoes join. It does not wait for the goroutine, which may be about to connect.
func (n *news) leave(redisKey string, changed chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.watchers[redisKey], changed)
	if len(n.watchers[redisKey]) == 0 {
		delete(n.watchers, redisKey)
	}
	if len(n.watchers) == 0 {
		n.stop()
		n.stop = nil
	}
}

// listen listens until ctx ends, and connects again when the connection is lost.
func (n *news) listen(ctx context.Context) {
	for {
		n.receive(ctx)
		if !await(ctx, jitter(n.retry), nil) {
			return
		}
	}
}

// receive subscribes and passes on what it hears until the connection is lost or ctx ends. When nothing is heard for a
// while, the server is asked whether it is there; when it does not answer, the connection is taken to be lost.
func (n *news) receive(ctx context.Context) {
	subscription, err := n.subscribe(ctx)
	if err != nil {
		return
	}
	// A receive does not end with its context, but with the connection. Its error is that of one that is closed already.
	closing := func() { _ = subscription.Close() }
	defer closing()
	defer context.AfterFunc(ctx, closing)()
	listening, asked := false, false
	for {
		message, err := subscription.ReceiveTimeout(ctx, n.poll)
		var quiet net.Error
		switch {
		case errors.As(err, &quiet) && quiet.Timeout() && !asked:
			err = subscription.Ping(ctx)
			asked = true
		case err == nil:
			asked = false
		}
		if err != nil {
			if listening { // who watches must see for themselves
				n.tellAll()
			}
			return
		}
		switch m := message.(type) {
		case *redis.Subscription: // anything may have changed before
			listening = true
			n.tellAll()
		case *redis.Message:
			n.tell(m.Payload)
		}
	}
}

// subscribe makes an error of the panic that a Ring without a working shard answers with.
func (n *news) subscribe(ctx context.Context) (subscription *redis.PubSub, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("subscribe: %v", p)
		}
	}()
	return n.client.Subscribe(ctx, n.channel), nil
}

func (n *news) tell(redisKey string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	tell(n.watchers[redisKey])
}

func (n *news) tellAll() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, watchers := range n.watchers {
		tell(watchers)
	}
}

// tell does not wait for those who have not yet looked: they will, and then see this change too.
func tell(watchers map[chan struct{}]bool) {
	for changed := range watchers {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
}
