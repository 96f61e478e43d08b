package pipeline

import (
	"fmt"
	"strings"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/hedge"
	"github.com/steadyfx/steady/patterns/retry"
)

// Definition is a pipeline as a configuration file composes it: references to named instances, outermost first. The
// same instance may be part of several pipelines, which then share its state: one circuit breaker, one set of slots.
type Definition struct {
	Steps []Reference
}

// Reference names one instance of one kind of policy. One that has no configuration of its own has the defaults. With
// the same kind, a pipeline may hold several instances, for example timeouts for two parts of a call. A [TotalTimeout]
// is one of the timeouts; a [Fallback] and a [Custom] step are what the program has made under that name.
type Reference struct {
	Step     Step
	Instance string
}

// String returns kind and name, as in "bulkhead(a)".
func (r Reference) String() string { return fmt.Sprintf("%s(%s)", r.Step, r.Instance) }

// String returns the steps, outermost first, as in "bulkhead(a) > retry(a)".
func (d Definition) String() string {
	parts := make([]string, len(d.Steps))
	for i, s := range d.Steps {
		parts[i] = s.String()
	}
	return strings.Join(parts, " > ")
}

// Validate reports everything that is wrong with how the steps fit together, each under "steps[i]": what [New] says of
// them, without making any. The configuration of a step is the Config of its pattern, complete; nil for a step that has
// none.
func (d Definition) Validate(config func(Reference) any) error {
	stages := make([]stage, len(d.Steps))
	for i, ref := range d.Steps {
		s := stage{place: i, kind: ref.Step, instance: ref.Instance, config: config(ref), self: ref}
		if ref.Step == TotalTimeout {
			s.self = Reference{Timeout, ref.Instance}
		}
		switch c := s.config.(type) {
		case retry.Config:
			s.budget = named(c.Budget)
		case hedge.Config:
			s.budget = named(c.Budget)
		}
		stages[i] = s
	}
	var checks patterns.Checks
	judge(stages).report(&checks, atStep)
	return checks.Err("")
}

// named returns the name of a budget, or nil for none.
func named(budget string) any {
	if budget == "" {
		return nil
	}
	return budget
}

func atStep(f finding) string { return fmt.Sprintf("steps[%d]", f.place) }
