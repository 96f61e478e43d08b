package config

import (
	"slices"

	"github.com/steadyfx/steady/patterns/pipeline"
)

// configured holds the names of the instances of each kind of step.
type configured map[pipeline.Step][]string

func pipelinesShape() *shape {
	return &shape{names: &shape{keys: map[string]*shape{"steps": {}}}}
}

// pipelines decodes resilience.pipelines.
func (d *decoder) pipelines(section map[string]any, at path, known configured) map[string]pipeline.Definition {
	var all map[string]pipeline.Definition
	for name, table := range d.entries(section, "pipelines", at) {
		if all == nil {
			all = map[string]pipeline.Definition{}
		}
		here := at.child("pipelines").child(name)
		value, ok := table["steps"]
		if !ok {
			if !d.failed[here] {
				d.missing(here, "must list at least one step below steps")
			}
			continue
		}
		all[name] = pipeline.Definition{Steps: d.steps(value, here.child("steps"), name, known)}
	}
	return all
}

// steps decodes a list of steps: "bulkhead" is the bulkhead with the name of the pipeline, {timeout: attempt} the
// timeout called attempt.
func (d *decoder) steps(value any, at path, name string, known configured) []pipeline.Reference {
	items, ok := asList(value)
	if !ok {
		d.fail(at, "want a list of steps, got %s", describe(value, false))
		return nil
	}
	if len(items) == 0 {
		d.fail(at, "must list at least one step")
	}
	var steps []pipeline.Reference
	for i, item := range items {
		step, ok := d.step(item, at.item(i), name, known)
		if ok && slices.Contains(steps, step) {
			d.fail(at.item(i), "%s %q is in this pipeline already", step.Step, step.Instance)
		}
		steps = append(steps, step)
	}
	return steps
}

func (d *decoder) step(item any, at path, name string, known configured) (pipeline.Reference, bool) {
	switch item := item.(type) {
	case string:
		kind, ok := d.kind(item, at)
		return pipeline.Reference{Step: kind, Instance: name}, ok
	case map[string]any:
		if len(item) != 1 {
			break
		}
		for key, value := range item {
			kind, ok := d.kind(key, at)
			if !ok {
				return pipeline.Reference{}, false
			}
			instance, ok := d.instance(kind, value, at.child(key), known[kind])
			return pipeline.Reference{Step: kind, Instance: instance}, ok
		}
	}
	d.fail(at, "want a kind of step, or one kind with the name of an instance, such as {timeout: %s}", name)
	return pipeline.Reference{}, false
}

func (d *decoder) kind(name string, at path) (pipeline.Step, bool) {
	kind := pipeline.Step(name)
	if !kind.Known() {
		var kinds []string
		for _, k := range pipeline.Steps() {
			kinds = append(kinds, string(k))
		}
		d.fail(at, "unknown step %q%s", name, suggest(name, kinds))
	}
	return kind, kind.Known()
}

func (d *decoder) instance(kind pipeline.Step, value any, at path, known []string) (string, bool) {
	name, ok := value.(string)
	if !ok {
		d.fail(at, "want the name of an instance, got %s", describe(value, false))
		return "", false
	}
	if !slices.Contains(known, name) {
		d.missing(at, "no instance %[2]q below resilience.%[1]s.instances%[3]s", kind, name, suggest(name, known))
		return "", false
	}
	return name, true
}
