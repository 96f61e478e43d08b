package memstore

// Held returns how many values s keeps in memory, and how many keys are watched.
func (s *State) Held() (values, watched int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.values), len(s.audience)
}
