package redisstore

import "time"

// SetPace replaces how long a watch does without news, and how soon Redis is tried again.
func (s *State) SetPace(poll, retry time.Duration) { s.news.poll, s.news.retry = poll, retry }

// SetStateLimit replaces the limit of calls whose context has no deadline.
func (s *State) SetStateLimit(d time.Duration) { s.limit = d }
