package bulkhead

// Metrics is a snapshot of a [Bulkhead]. The counts begin with [New].
type Metrics struct {
	InFlight      int // slots that are taken
	Queued        int // calls that wait
	MaxConcurrent int
	QueueSize     int

	Rejected uint64 // calls that were refused, for whatever reason
	TimedOut uint64 // of these: no slot became free in time
	Canceled uint64 // of these: the context of the call ended first
}

// Metrics returns a snapshot. InFlight and Queued belong to the same moment.
func (b *Bulkhead) Metrics() Metrics {
	inFlight, queued := b.slots.load()
	m := Metrics{
		InFlight: inFlight, Queued: queued,
		MaxConcurrent: int(b.slots.limit), QueueSize: int(b.slots.places),
		TimedOut: b.timedOut.Load(), Canceled: b.canceled.Load(),
	}
	m.Rejected = b.full.Load() + m.TimedOut + m.Canceled
	return m
}
