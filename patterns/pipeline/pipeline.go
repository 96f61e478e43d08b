package pipeline

import (
	"context"
	"fmt"
	"slices"

	"github.com/steadyfx/steady/patterns"
)

// Pipeline is a composition of policies. It is immutable and safe for concurrent use. Make one with [New], [Standard] or
// a [Factory].
type Pipeline struct {
	name  string
	steps []Member
	chain patterns.Policy
}

func chainOf(steps []Member) patterns.Policy {
	policies := make([]patterns.Policy, len(steps))
	for i, s := range steps {
		policies[i] = s.Policy
	}
	return patterns.Compose(policies...)
}

// Name returns the name given to [New] or in the configuration.
func (p *Pipeline) Name() string { return p.name }

// Execute runs op through all steps.
func (p *Pipeline) Execute(ctx context.Context, op patterns.Operation) error {
	return p.chain.Execute(ctx, op)
}

// Compose returns a policy that runs next inside of the pipeline.
func (p *Pipeline) Compose(next patterns.Policy) patterns.Policy {
	return patterns.Compose(p.chain, next)
}

// Sequential reports whether every step promises what patterns.Sequential describes.
func (p *Pipeline) Sequential() bool { return patterns.IsSequential(p.chain) }

// Add returns a pipeline with policy as the innermost step. The receiver is not changed. The policy must be one of the
// package that the step is named after; any policy can be a [Custom] step. The error reports everything that is wrong
// with the step, or with how it fits to the others.
func (p *Pipeline) Add(step Step, instance string, policy patterns.Policy) (*Pipeline, error) {
	owner := fmt.Sprintf("pipeline %q", p.name)
	added := &Pipeline{name: p.name, steps: append(slices.Clone(p.steps), Member{step, instance, policy})}
	path := atStep(finding{place: len(p.steps)})
	var checks, own patterns.Checks
	added.steps[len(p.steps)].check(&own)
	if checks.Include(path, own.Err("")); checks.Err("") == nil {
		judge(stagesOf(added.steps)).report(&checks, atStep)
	}
	if err := checks.Err(owner); err != nil {
		return nil, err
	}
	added.chain = chainOf(added.steps)
	return added, nil
}

// Members returns the steps, outermost first.
func (p *Pipeline) Members() []Member { return slices.Clone(p.steps) }

// String returns the steps, outermost first, as in "bulkhead(a) > retry(a)". [Pipeline.Describe] says more.
func (p *Pipeline) String() string { return p.definition().String() }

func (p *Pipeline) definition() Definition {
	var d Definition
	for _, s := range p.steps {
		d.Steps = append(d.Steps, Reference{s.Step, s.Instance})
	}
	return d
}
