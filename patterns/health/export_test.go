package health

// For tests of limits that a test cannot reach.
var (
	MemoryReport    = memoryReport
	GoroutineReport = goroutineReport
)
