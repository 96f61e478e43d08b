package faults

import (
	"context"
	"net"
	"sync"
)

// link is a connection of a client and, once it is made, that to the server.
type link struct {
	proxy  *Proxy
	client net.Conn
	ctx    context.Context // ends with the link
	cancel context.CancelFunc

	mu     sync.Mutex
	asked  bool   // a request is under way
	injury injury // of the request that is under way
}

// serve ends when either side has ended.
func (l *link) serve() {
	defer l.proxy.forget(l)
	defer l.cut()
	if !l.proxy.pass(l.ctx) {
		return
	}
	server, err := new(net.Dialer).DialContext(l.ctx, "tcp", l.proxy.target)
	if err != nil {
		return // for the client, the server is not there
	}
	stop := context.AfterFunc(l.ctx, func() { closeBoth(l.client, server) })
	defer stop()
	var answers sync.WaitGroup
	answers.Go(func() {
		defer l.cancel()
		l.pump(server, l.client, l.answer)
	})
	l.pump(l.client, server, l.request)
	l.cancel()
	answers.Wait()
	closeBoth(l.client, server)
}

// cut ends the link. Closing is left to serve, if that has come so far.
func (l *link) cut() {
	l.cancel()
	closeBoth(l.client)
}

// closeBoth closes connections of which some may be closed already.
func closeBoth(conns ...net.Conn) {
	for _, c := range conns {
		_ = c.Close() // nothing can be done about it
	}
}

// pump passes on what it reads, as long as judge lets it.
func (l *link) pump(from, to net.Conn, judge func() (pass bool)) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			if !judge() || !l.proxy.pass(l.ctx) {
				return
			}
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// request draws a fault for the first bytes of a request, those that come after an answer.
func (l *link) request() (pass bool) {
	l.mu.Lock()
	begins := !l.asked
	l.asked = true
	l.mu.Unlock()
	if !begins {
		return true
	}
	i := l.proxy.draw()
	l.mu.Lock()
	l.injury = i
	l.mu.Unlock()
	switch i.fault {
	case CutRequest:
		return false
	case DelayRequest:
		return wait(l.ctx, i.delay)
	default:
		return true
	}
}

// answer makes the first bytes of an answer suffer what was drawn for its request.
func (l *link) answer() (pass bool) {
	l.mu.Lock()
	i := l.injury
	l.asked, l.injury = false, injury{}
	l.mu.Unlock()
	switch i.fault {
	case CutAnswer:
		return false
	case DelayAnswer:
		return wait(l.ctx, i.delay)
	default:
		return true
	}
}
