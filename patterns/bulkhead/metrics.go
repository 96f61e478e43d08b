package bulkhead

// Metrics is a snapshot of a [Bulkhead] or an [Adaptive]. The counts begin when that was made.
type Metrics struct {
	InFlight      int // slots that are taken
	Queued        int // calls that wait
	MaxConcurrent int // slots there are at present
	QueueSize     int

	Rejected uint64 // calls that were refused, for whatever reason
	TimedOut uint64 // of these: no slot became free in time
	Canceled uint64 // of these: the context of the call ended first
}

// Metrics returns a snapshot. All but the counts belong to the same moment.
func (b *Bulkhead) Metrics() Metrics {
	m := Metrics{TimedOut: b.timedOut.Load(), Canceled: b.canceled.Load()}
	m.MaxConcurrent, m.InFlight, m.QueueSize, m.Queued = b.slots.load()
	m.Rejected = b.full.Load() + b.tooHeavy.Load() + m.TimedOut + m.Canceled
	return m
}
