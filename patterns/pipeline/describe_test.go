package pipeline_test

import (
	"context"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/bulkhead"
	"github.com/steadyfx/steady/patterns/pipeline"
	"github.com/steadyfx/steady/patterns/retry"
	"github.com/steadyfx/steady/patterns/timeout"
)

func TestDescriptionIsAValue(t *testing.T) {
	inside := newPipeline(t, pipeline.Config{Timeout: within(time.Second)})
	slots := slots(t, "slots")
	p := newPipeline(t, pipeline.Config{
		Retry: &retry.Config{MaxAttempts: 2}, Budget: budget(t),
		Named: map[pipeline.Step]patterns.Policy{
			"slots": slots, "inside": inside, "both": patterns.Compose(limit(t, time.Second), patterns.Direct{}, own{}),
		},
		Order: order("slots", tries, "inside", "both"),
	})
	if err := slots.Resize(3, 4); err != nil {
		t.Fatal(err)
	}
	retries := retry.DefaultConfig()
	retries.MaxAttempts = 2
	paid := retry.DefaultBudgetConfig()
	limited := timeout.Config{Timeout: time.Second, Message: "Operation timed out"}
	want := pipeline.Description{
		Name: "payments",
		Steps: []pipeline.StepDescription{
			{Step: pipeline.Bulkhead, Instance: "slots", Config: bulkhead.Config{MaxConcurrent: 3, QueueSize: 4, Timeout: 30 * time.Second}},
			{Step: pipeline.Retry, Instance: "payments", Config: retries, Budget: &paid},
			{Step: pipeline.Custom, Instance: "inside", Steps: []pipeline.StepDescription{
				{Step: pipeline.Timeout, Instance: "payments", Config: limited},
			}},
			{Step: pipeline.Custom, Instance: "both", Steps: []pipeline.StepDescription{
				{Step: pipeline.Timeout, Instance: "limit", Config: limited}, {Step: pipeline.Custom},
			}},
		},
	}
	if got := p.Describe(); !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v, want\n%+v", got, want)
	}
	const page = `pipeline "payments", outermost step first
  1. bulkhead "slots"
     max_concurrent 3, queue_size 4, timeout 30s
  2. retry "payments"
     max_attempts 2, base_delay 1s, max_delay 1m0s, backoff_factor 2, jitter 0.25
     budget: percent 20, min_per_second 10, ttl 10s
  3. custom "inside"
       1. timeout "payments"
          timeout 1s, timeout_message "Operation timed out"
  4. custom "both"
       1. timeout "limit"
          timeout 1s, timeout_message "Operation timed out"
       2. custom ""
`
	if got := want.String(); got != page {
		t.Errorf("got\n%s", got)
	}
}

// own is a policy of a program.
type own struct{ patterns.Direct }

func (o own) Compose(next patterns.Policy) patterns.Policy { return patterns.Link(o, next) }

func (own) Around(ctx context.Context, next patterns.Policy, op patterns.Operation) error {
	return next.Execute(ctx, op)
}

func TestDescriptionFitsOnAPage(t *testing.T) {
	long := strings.Repeat("long ", 30)
	d := pipeline.Description{Name: "p", Steps: []pipeline.StepDescription{
		{Step: pipeline.Timeout, Instance: "a", Config: timeout.Config{Timeout: 1, Message: long, Detached: true}},
		{Step: pipeline.Custom, Instance: "b", Config: 5},
		{Step: pipeline.Custom, Instance: "c", Config: struct {
			Shown  int    `koanf:"shown"`
			Secret string `koanf:"secret" secret:"true"`
			Hidden string
			Dash   string `koanf:"-"`
		}{1, "hunter2", "hunter2", "hunter2"}},
	}, Warnings: []string{long, "short"}}
	want := `pipeline "p", outermost step first
  1. timeout "a"
     timeout 1ns,
     timeout_message "` + long + `",
     detached true
  2. custom "b"
  3. custom "c"
     shown 1
warnings
  - ` + strings.TrimSpace(strings.Repeat("long ", 19)) + `
    ` + strings.TrimSpace(strings.Repeat("long ", 11)) + `
  - short
`
	if got := d.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
