package services

// PID returns the number of the server's process, or 0 after [Process.Kill] and [Process.Stop].
func (p *Process) PID() int {
	if p.run == nil {
		return 0
	}
	return p.run.cmd.Process.Pid
}

// Ended returns a channel that is closed when the server is gone, whoever ended it. After [Process.Start] there is
// another one.
func (p *Process) Ended() <-chan struct{} {
	if p.run == nil {
		gone := make(chan struct{})
		close(gone)
		return gone
	}
	return p.run.done
}
