package services

import (
	"syscall"
	"testing"
)

func TestEndOfAServerIsToldToWhoeverWatchesIt(t *testing.T) {
	p := begin(t, redisKind)
	first := p.Ended()
	select {
	case <-first:
		t.Fatal("told of the end of a server that runs")
	default:
	}
	if err := syscall.Kill(p.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-first // or the test times out
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if p.Ended() == first {
		t.Error("a server that was started again is still told to have ended")
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	<-p.Ended()
	if p.PID() != 0 {
		t.Errorf("PID %d of a killed server, want 0", p.PID())
	}
}
