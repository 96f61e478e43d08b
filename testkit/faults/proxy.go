package faults

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"sync"
	"time"
)

// TB is what this package needs of a [testing.TB].
type TB interface {
	Helper()
	Cleanup(func())
	Fatalf(format string, args ...any)
}

// Proxy passes on what clients and a server say to each other, and fails as it is told to. Use [New] or [Start]. All
// methods are safe for concurrent use.
type Proxy struct {
	listener net.Listener
	target   string
	ctx      context.Context // ends with Close
	cancel   context.CancelFunc
	running  sync.WaitGroup

	mu       sync.Mutex
	links    map[*link]struct{}
	closed   bool
	refusing bool
	passable chan struct{} // closed while bytes may pass
	plan     plan
}

// New returns a proxy before the server at target, a host and port. It ends with the test.
func New(tb TB, target string) *Proxy {
	tb.Helper()
	p, err := Start(target)
	if err != nil {
		tb.Fatalf("%v", err)
	}
	tb.Cleanup(func() {
		if err := p.Close(); err != nil {
			tb.Fatalf("%v", err)
		}
	})
	return p
}

// Start returns a proxy on a loopback port before the server at target, a host and port, which need not run yet. The
// caller closes it.
func Start(target string) (*Proxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("faults: %w", err)
	}
	p := &Proxy{listener: listener, target: target, links: map[*link]struct{}{}, passable: make(chan struct{})}
	close(p.passable)
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.running.Go(p.accept)
	return p, nil
}

// Addr returns the host and port to connect to.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// URL returns the URL of the server with the address of the proxy in it.
func (p *Proxy) URL(ofServer string) (string, error) {
	u, err := url.Parse(ofServer)
	if err != nil {
		return "", errors.New("faults: that is no URL") // the parser's error would tell a password
	}
	u.Host = p.Addr()
	return u.String(), nil
}

// Close cuts every connection and returns when all goroutines of the proxy have ended. It may be called more than once.
func (p *Proxy) Close() error {
	p.mu.Lock()
	first := !p.closed
	p.closed = true
	p.mu.Unlock()
	p.cancel()
	var err error
	if first {
		err = p.listener.Close()
	}
	p.Cut()
	p.running.Wait()
	return err
}

// Cut closes all connections that are open now, whatever they are in the middle of.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		l.cut()
	}
}

// Refuse cuts all connections, and every new one as soon as it is made, until [Proxy.Restore].
func (p *Proxy) Refuse() {
	p.mu.Lock()
	p.refusing = true
	p.mu.Unlock()
	p.Cut()
}

// Blackhole lets nothing pass, in either direction, until [Proxy.Restore]: connections can be made and stay open, and
// nobody hears anything. What was sent meanwhile arrives afterwards, as it does in a network that is partitioned for a
// moment: also a request whose client has given up.
func (p *Proxy) Blackhole() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open() {
		p.passable = make(chan struct{})
	}
}

// Restore ends what [Proxy.Refuse] and [Proxy.Blackhole] began. It does not end the faults of [Proxy.Inject].
func (p *Proxy) Restore() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refusing = false
	if !p.open() {
		close(p.passable)
	}
}

func (p *Proxy) open() bool {
	select {
	case <-p.passable:
		return true
	default:
		return false
	}
}

// accept ends with the listener.
func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // for example too many open files: not for ever
			if !wait(p.ctx, 10*time.Millisecond) {
				return
			}
			continue
		}
		l := &link{proxy: p, client: client}
		l.ctx, l.cancel = context.WithCancel(p.ctx)
		if !p.admit(l) {
			l.cut()
			continue
		}
		p.running.Go(l.serve)
	}
}

func (p *Proxy) admit(l *link) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.refusing {
		return false
	}
	p.links[l] = struct{}{}
	return true
}

func (p *Proxy) forget(l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.links, l)
}

// pass waits while the proxy is a black hole. It returns false if ctx ends first.
func (p *Proxy) pass(ctx context.Context) bool {
	for {
		p.mu.Lock()
		passable, open := p.passable, p.open()
		p.mu.Unlock()
		if open {
			return ctx.Err() == nil
		}
		select {
		case <-passable:
		case <-ctx.Done():
			return false
		}
	}
}

// wait returns false if ctx ends before d is over.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
