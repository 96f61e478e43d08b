package faults_test

import (
	"errors"
	"math"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/steadyfx/steady/testkit/faults"
)

func asTimeout(err error, target *net.Error) bool {
	return errors.As(err, target) && (*target).Timeout()
}

func TestBytesPassUnchanged(t *testing.T) {
	server := newEcho(t)
	p := faults.New(t, server.addr())
	var wg sync.WaitGroup
	for n := range 8 {
		c := connect(t, p)
		wg.Go(func() {
			for i := range 50 {
				line := strings.Repeat(strconv.Itoa(n), 1+i*2000)
				if err := c.ask(line); err != nil {
					t.Errorf("line of %d bytes: %v", len(line), err)
				}
			}
		})
	}
	wg.Wait()
}

func TestCutRequestNeverReachesTheServer(t *testing.T) {
	server := newEcho(t)
	p := faults.New(t, server.addr())
	c := connect(t, p)
	if err := c.ask("before"); err != nil {
		t.Fatal(err)
	}
	p.Once(faults.CutRequest, 0)
	if err := c.ask("cut"); err == nil {
		t.Error("a cut request was answered")
	}
	if err := connect(t, p).ask("after"); err != nil {
		t.Errorf("after the one cut: %v", err)
	}
	if n := server.lines.Load(); n != 2 {
		t.Errorf("the server heard %d lines, want 2", n)
	}
	if n := p.Count(faults.CutRequest); n != 1 {
		t.Errorf("counted %d, want 1", n)
	}
}

func TestCutAnswerIsLostAfterTheServerHasActed(t *testing.T) {
	server := newEcho(t)
	p := faults.New(t, server.addr())
	c := connect(t, p)
	p.Once(faults.CutAnswer, 0)
	if err := c.ask("lost"); err == nil {
		t.Error("a lost answer came")
	}
	if n := server.lines.Load(); n != 1 {
		t.Errorf("the server heard %d lines, want 1", n)
	}
	if err := connect(t, p).ask("after"); err != nil {
		t.Errorf("after the one cut: %v", err)
	}
}

func TestDelayedRequestArrivesThoughItsClientIsGone(t *testing.T) {
	server := newEcho(t)
	p := faults.New(t, server.addr())
	p.Once(faults.DelayRequest, 100*time.Millisecond)
	c := connect(t, p)
	c.send(t, "late")
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if line := <-server.heard; line != "late\n" {
		t.Errorf("the server heard %q", line)
	}
}

func TestDelayIsOfOneRequest(t *testing.T) {
	for _, f := range []faults.Fault{faults.DelayRequest, faults.DelayAnswer} {
		server := newEcho(t)
		p := faults.New(t, server.addr())
		c := connect(t, p)
		p.Once(f, 200*time.Millisecond)
		c.send(t, "slow")
		c.silent(t)
		if heard := server.lines.Load() == 1; heard != (f == faults.DelayAnswer) {
			t.Errorf("%v: the server has heard the line: %v", f, heard)
		}
		if err := c.hear("slow"); err != nil {
			t.Errorf("%v: %v", f, err)
		}
		if err := c.ask("next"); err != nil {
			t.Errorf("after %v: %v", f, err)
		}
	}
}

func TestLongRequestHasOneFault(t *testing.T) {
	p := faults.New(t, newEcho(t).addr())
	c := connect(t, p)
	p.Once(faults.DelayAnswer, time.Millisecond)
	p.Once(faults.CutAnswer, 0)
	if err := c.ask(strings.Repeat("long", 1<<20)); err != nil {
		t.Errorf("a long request: %v", err)
	}
	if err := c.ask("next"); err == nil {
		t.Error("the request after a long one is answered, but its fault came second")
	}
}

func TestRefusedClientsAreCutUntilRestored(t *testing.T) {
	p := faults.New(t, newEcho(t).addr())
	old := connect(t, p)
	if err := old.ask("before"); err != nil {
		t.Fatal(err)
	}
	p.Refuse()
	if err := old.ask("cut"); err == nil {
		t.Error("an old connection lives")
	}
	if c, err := net.Dial("tcp", p.Addr()); err == nil {
		defer c.Close()
		if err := c.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(make([]byte, 1)); err == nil || asTimeout(err, new(net.Error)) {
			t.Errorf("a new connection lives: %v", err)
		}
	}
	p.Restore()
	if err := connect(t, p).ask("after"); err != nil {
		t.Error(err)
	}
}

func TestBlackholeKeepsWhatIsSentUntilRestored(t *testing.T) {
	server := newEcho(t)
	p := faults.New(t, server.addr())
	old := connect(t, p)
	if err := old.ask("before"); err != nil {
		t.Fatal(err)
	}
	p.Blackhole()
	p.Blackhole() // once more is the same
	fresh := connect(t, p)
	old.send(t, "old")
	fresh.send(t, "fresh")
	old.silent(t)
	fresh.silent(t)
	if n := server.lines.Load(); n != 1 {
		t.Errorf("the server heard %d lines, want 1", n)
	}
	p.Restore()
	for line, c := range map[string]*client{"old": old, "fresh": fresh} {
		if err := c.hear(line); err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
}

func TestCutEndsOpenConnectionsOnly(t *testing.T) {
	p := faults.New(t, newEcho(t).addr())
	old := connect(t, p)
	if err := old.ask("before"); err != nil {
		t.Fatal(err)
	}
	p.Cut()
	if err := old.ask("cut"); err == nil {
		t.Error("an old connection lives")
	}
	if err := connect(t, p).ask("after"); err != nil {
		t.Error(err)
	}
}

func TestServerThatIsAwayLooksAwayThroughTheProxy(t *testing.T) {
	server := newEcho(t)
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	p := faults.New(t, server.addr())
	if err := connect(t, p).ask("line"); err == nil {
		t.Error("somebody answered")
	}
}

// sequence asks n lines, one after the other, and returns which of them went through.
func sequence(t *testing.T, m faults.Mix, n int) string {
	t.Helper()
	p := faults.New(t, newEcho(t).addr())
	if err := p.Inject(m); err != nil {
		t.Fatal(err)
	}
	var passed strings.Builder
	c := connect(t, p)
	for i := range n {
		if err := c.ask(strconv.Itoa(i)); err != nil {
			passed.WriteByte('x')
			c = connect(t, p)
			continue
		}
		passed.WriteByte('.')
	}
	injected := p.Count(faults.CutRequest) + p.Count(faults.CutAnswer)
	if failed := strings.Count(passed.String(), "x"); failed != injected {
		t.Errorf("%d requests failed, %d faults were counted", failed, injected)
	}
	return passed.String()
}

func TestMixIsDrawnFromItsSeed(t *testing.T) {
	mix := faults.Mix{CutRequest: 0.2, CutAnswer: 0.2, DelayRequest: 0.1, DelayAnswer: 0.1, Delay: time.Millisecond, Seed: 7}
	first := sequence(t, mix, 200)
	if failed := strings.Count(first, "x"); failed < 50 || failed > 110 {
		t.Errorf("%d of 200 requests failed, want about 80", failed)
	}
	if again := sequence(t, mix, 200); again != first {
		t.Errorf("the same seed drew\n%s and\n%s", first, again)
	}
	mix.Seed = 8
	if other := sequence(t, mix, 200); other == first {
		t.Error("another seed drew the same")
	}
	if none := sequence(t, faults.Mix{Seed: 7}, 20); strings.Contains(none, "x") {
		t.Errorf("no mix, and got %s", none)
	}
	if all := sequence(t, faults.Mix{CutAnswer: 1}, 20); strings.Contains(all, ".") {
		t.Errorf("certain faults, and got %s", all)
	}
}

func TestMixOutOfRangeIsRefused(t *testing.T) {
	p := faults.New(t, "127.0.0.1:1")
	for _, m := range []faults.Mix{
		{CutRequest: -0.1}, {CutAnswer: 1.1}, {DelayRequest: 0.6, DelayAnswer: 0.6}, {CutAnswer: math.NaN()},
		{DelayAnswer: 0.1, Delay: -1},
	} {
		if err := p.Inject(m); err == nil {
			t.Errorf("%+v is accepted", m)
		}
	}
}

func TestURLPointsAtTheProxy(t *testing.T) {
	p := faults.New(t, "127.0.0.1:1")
	got, err := p.URL("postgres://user:secret@127.0.0.1:5432/app?sslmode=disable")
	if want := "postgres://user:secret@" + p.Addr() + "/app?sslmode=disable"; err != nil || got != want {
		t.Errorf("got %s, error %v, want %s", got, err, want)
	}
	if _, err := p.URL("redis://:secret@%zz"); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("got error %v, want one that hides the password", err)
	}
}

func TestCloseEndsEverythingInEveryState(t *testing.T) {
	for name, prepare := range map[string]func(p *faults.Proxy){
		"open":       func(*faults.Proxy) {},
		"black hole": (*faults.Proxy).Blackhole,
		"refusing":   (*faults.Proxy).Refuse,
		"delaying":   func(p *faults.Proxy) { p.Once(faults.DelayRequest, time.Hour) },
	} {
		t.Run(name, func(t *testing.T) {
			p, err := faults.Start(newEcho(t).addr())
			if err != nil {
				t.Fatal(err)
			}
			prepare(p)
			c := connect(t, p)
			c.send(t, "line")
			for range 2 {
				if err := p.Close(); err != nil {
					t.Errorf("close: %v", err)
				}
			}
			if _, err := net.Dial("tcp", p.Addr()); err == nil {
				t.Error("a closed proxy listens")
			}
		})
	}
}
