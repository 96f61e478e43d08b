package report

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// Progress shows what happens while a run goes on: on a terminal in one line that is kept up to date, elsewhere in a
// line every few seconds. It is safe for concurrent use.
type Progress struct {
	terminal bool

	mu     sync.Mutex
	out    io.Writer
	status string // that the terminal shows
}

// NewProgress returns a Progress that writes to out.
func NewProgress(out io.Writer) *Progress { return &Progress{out: out, terminal: isTerminal(out)} }

func isTerminal(out io.Writer) bool {
	file, ok := out.(*os.File)
	if !ok || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

const (
	everyOnTerminal = 200 * time.Millisecond
	everyElsewhere  = 3 * time.Second
	clearLine       = "\r\x1b[K"
	cutLine         = "\x1b[?7l" // at the right margin, instead of going on in the next line
	wrapLine        = "\x1b[?7h"
)

// Show shows the status again and again until ctx ends.
func (p *Progress) Show(ctx context.Context, status func() string) {
	every := everyElsewhere
	if p.terminal {
		every = everyOnTerminal
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			p.show(status())
		case <-ctx.Done():
			p.clear()
			return
		}
	}
}

// Say writes a line that stays.
func (p *Progress) Say(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	line := fmt.Sprintf(format, args...) + "\n"
	if p.status != "" {
		line = clearLine + line + p.status
	}
	fmt.Fprint(p.out, line)
}

// Note is Say, but not on a terminal, where the status shows the same.
func (p *Progress) Note(format string, args ...any) {
	if !p.terminal {
		p.Say(format, args...)
	}
}

func (p *Progress) show(status string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.terminal {
		fmt.Fprintln(p.out, status)
		return
	}
	p.status = cutLine + status + wrapLine
	fmt.Fprint(p.out, clearLine+p.status)
}

func (p *Progress) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.status != "" {
		p.status = ""
		fmt.Fprint(p.out, clearLine)
	}
}
