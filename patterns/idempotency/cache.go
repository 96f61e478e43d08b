package idempotency

import (
	"container/list"
	"sync"
	"time"
)

// maxCached is how long a result may be to be kept at hand: together with the number of entries it bounds the memory.
const maxCached = 64 << 10

// cache keeps completed results at hand, those that were asked for last. A result does not change while it lives, so
// that what is here is what the store would answer, unless somebody has deleted it there.
type cache struct {
	max int
	ttl time.Duration

	mu      sync.Mutex
	entries map[string]*list.Element // of cached
	recent  list.List                // the latest in front
}

type cached struct {
	key         string
	fingerprint string
	value       string
	fence       int64
	stored      time.Time
	expires     time.Time
}

// newCache returns nil, which keeps nothing, for a cache without entries.
func newCache(entries int, ttl time.Duration) *cache {
	if entries == 0 {
		return nil
	}
	return &cache{max: entries, ttl: ttl, entries: map[string]*list.Element{}}
}

// get returns the result of a key, as Done, if the store would. It answers only who shows the fingerprint of the call
// that brought the result here, or none if that one did: whether others match the record only the store knows.
func (c *cache) get(req ClaimRequest) (Claim, bool) {
	if c == nil {
		return Claim{}, false
	}
	e, ok := c.find(req)
	if !ok {
		return Claim{}, false
	}
	return Claim{Outcome: Done, Value: []byte(e.value), Fence: e.fence, Age: time.Since(e.stored)}, true
}

func (c *cache) find(req ClaimRequest) (cached, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	element, ok := c.entries[req.Key]
	if !ok {
		return cached{}, false
	}
	e := element.Value.(*cached)
	switch {
	case !time.Now().Before(e.expires):
		c.remove(element)
		return cached{}, false
	case e.fingerprint != string(req.Fingerprint):
		return cached{}, false
	}
	c.recent.MoveToFront(element)
	return *e, true
}

// put keeps the result that the store had at the time, for as long as the store is sure to have it: whoever has stored
// it may have done so for a shorter time than this caller would.
func (c *cache) put(req ClaimRequest, done Claim, at time.Time) {
	if c == nil || len(done.Value) > maxCached {
		return
	}
	life := min(c.ttl, req.Retention-done.Age)
	if done.ExpiresIn > 0 {
		life = min(life, done.ExpiresIn)
	}
	e := &cached{
		key: req.Key, fingerprint: string(req.Fingerprint), value: string(done.Value), fence: done.Fence,
		stored: at.Add(-done.Age), expires: at.Add(life),
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if element, ok := c.entries[e.key]; ok {
		c.remove(element)
	}
	c.entries[e.key] = c.recent.PushFront(e)
	if c.recent.Len() > c.max {
		c.remove(c.recent.Back())
	}
}

func (c *cache) remove(element *list.Element) {
	delete(c.entries, c.recent.Remove(element).(*cached).key)
}
