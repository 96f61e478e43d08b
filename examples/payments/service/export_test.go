package service

// BreakJournal makes the next payment one that cannot be recorded.
func (l *Ledger) BreakJournal(err error) { l.journal.failed = err }
