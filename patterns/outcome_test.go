package patterns_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/steadyfx/steady/patterns"
)

func TestClassify(t *testing.T) {
	live := t.Context()
	canceled, cancel := context.WithCancel(live)
	cancel()
	expired, cancel := context.WithDeadline(live, time.Unix(0, 0))
	defer cancel()
	caused, cancelCause := context.WithCancelCause(live)
	cancelCause(errBoom)
	rejected := fmt.Errorf("circuit open: %w", patterns.ErrRejected)
	tests := []struct {
		name string
		ctx  context.Context
		err  error
		want patterns.Outcome
	}{
		{"no error", live, nil, patterns.Success},
		{"no error though the caller went away", canceled, nil, patterns.Success},
		{"no error though late", expired, nil, patterns.Success},
		{"error", live, errBoom, patterns.Failure},
		{"error after the caller went away", canceled, errBoom, patterns.Ignored},
		{"error after the caller went away for a reason", caused, errBoom, patterns.Ignored},
		{"error after the deadline", expired, context.DeadlineExceeded, patterns.Failure},
		{"canceled by somebody else", live, context.Canceled, patterns.Failure},
		{"rejected", live, rejected, patterns.Ignored},
		{"rejected after the deadline", expired, rejected, patterns.Ignored},
		{"ignored", live, fmt.Errorf("still at it: %w", patterns.ErrIgnored), patterns.Ignored},
		{"ignored after the deadline", expired, patterns.ErrIgnored, patterns.Ignored},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := patterns.Classify(tt.ctx, tt.err); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestOutcomeString(t *testing.T) {
	for outcome, want := range map[patterns.Outcome]string{
		patterns.Success: "success", patterns.Failure: "failure", patterns.Ignored: "ignored", 99: "unknown",
	} {
		if got := outcome.String(); got != want {
			t.Errorf("%d is %q, want %q", outcome, got, want)
		}
	}
}
