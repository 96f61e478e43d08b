package redisstore

import "time"

// SetLimit replaces the limit of calls whose context has no deadline.
func (s *Idempotency) SetLimit(d time.Duration) { s.limit = d }
