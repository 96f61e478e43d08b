package config

import (
	"maps"
	"slices"

	"github.com/steadyfx/steady/patterns/pipeline"
)

// configured holds the names of the instances of each section.
type configured map[pipeline.Step][]string

func pipelinesShape() *shape {
	return &shape{names: &shape{keys: map[string]*shape{"steps": {}}}}
}

// checkBudgets reports the budgets that retries or hedges name and that are not there.
func (d *decoder) checkBudgets(resilience map[string]any, kind pipeline.Step, at path, known configured) {
	section := asTable(resilience[string(kind)])
	at = at.child(string(kind))
	check := func(table map[string]any, at path) {
		at = at.child(budgets)
		if name, ok := table[budgets].(string); ok && name != "" && !slices.Contains(known[budgets], name) {
			d.missing(at, "no instance %q below resilience.%s.instances%s", name, budgets, suggest(name, known[budgets]))
		}
	}
	check(section, at)
	for _, key := range []string{"base", "instances"} {
		tables := asTable(section[key])
		for _, name := range slices.Sorted(maps.Keys(tables)) {
			check(asTable(tables[name]), at.child(key).child(name))
		}
	}
}

// asTable returns a table, nil if the value is something else, which has been reported.
func asTable(value any) map[string]any {
	table, _ := value.(map[string]any)
	return table
}

// fitting reports how the steps of a pipeline do not fit together. A mistake elsewhere could make them seem so: this is
// for a configuration that is right otherwise.
func (d *decoder) fitting(r *Resilience, at path) {
	if len(d.errs) > 0 {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(r.Pipelines)) {
		for _, m := range mistakes(r.Pipelines[name].Validate(r.configOf)) {
			d.add(at.child(name).field(m.field), m.problem, m.cause)
		}
	}
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
		steps = append(steps, d.step(item, at.item(i), name, known))
	}
	return steps
}

func (d *decoder) step(item any, at path, name string, known configured) pipeline.Reference {
	switch item := item.(type) {
	case string:
		kind, _ := d.kind(item, at)
		return kind.Of(name)
	case map[string]any:
		if len(item) != 1 {
			break
		}
		for key, value := range item {
			kind, ok := d.kind(key, at)
			if !ok {
				return pipeline.Reference{}
			}
			return pipeline.Reference{Step: kind, Instance: d.instance(kind, value, at.child(key), known)}
		}
	}
	d.fail(at, "want a kind of step, or one kind with the name of an instance, such as {timeout: %s}", name)
	return pipeline.Reference{}
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

// instance decodes the name of an instance. Whether the program gives a fallback or a custom step of that name, only the
// start can tell.
func (d *decoder) instance(kind pipeline.Step, value any, at path, known configured) string {
	name, ok := value.(string)
	if !ok {
		d.fail(at, "want the name of an instance, got %s", describe(value, false))
		return ""
	}
	switch kind {
	case pipeline.Fallback, pipeline.Custom:
		d.name(name, at)
		return name
	case pipeline.TotalTimeout:
		kind = pipeline.Timeout
	}
	if !slices.Contains(known[kind], name) {
		d.missing(at, "no instance %[2]q below resilience.%[1]s.instances%[3]s", kind, name, suggest(name, known[kind]))
	}
	return name
}
