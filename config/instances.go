package config

import (
	"iter"
	"maps"
	"reflect"
	"slices"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/pipeline"
)

// instancesShape returns the shape of a section whose own keys are those of config, the default of all instances.
func instancesShape(config *shape) *shape {
	instance := &shape{keys: maps.Clone(config.keys)}
	instance.keys["extends"] = &shape{}
	section := &shape{keys: maps.Clone(config.keys)}
	section.keys["base"] = &shape{names: config}
	section.keys["instances"] = &shape{names: instance}
	return section
}

// level is one table of such a section, its own keys, a base or an instance, and what that comes to.
type level[C any] struct {
	at     path
	table  map[string]any
	parent *level[C] // that it inherits from
	config C
}

// instances decodes such a section onto all, which holds the default. Each configuration is decoded onto a copy of the
// one that it inherits from: an instance from its base or else from the section, a base from the section.
func instances[C any](
	d *decoder, all *patterns.Instances[C], resilience map[string]any, kind pipeline.Step, at path, known configured,
	rules ...idle[C],
) {
	table := d.table(resilience, string(kind), at)
	at = at.child(string(kind))
	section := derive(d, &level[C]{at: at, config: all.Default}, table, at)
	all.Default = section.config

	levels, bases := []*level[C]{section}, map[string]*level[C]{}
	for name, table := range d.entries(section.table, "base", at) {
		bases[name] = derive(d, section, table, at.child("base").child(name))
		levels = append(levels, bases[name])
	}
	baseNames := slices.Sorted(maps.Keys(bases))
	for name, table := range d.entries(section.table, "instances", at) {
		here, parent := at.child("instances").child(name), section
		if base, ok := d.extends(table, here, baseNames); ok {
			parent = bases[base]
		}
		if all.Named == nil {
			all.Named = map[string]C{}
		}
		instance := derive(d, parent, table, here)
		all.Named[name] = instance.config
		levels = append(levels, instance)
		known[kind] = append(known[kind], name)
	}
	reportIdle(d, levels, rules)
}

// derive returns the parent with what the table says instead, and notes for the rest where the parent has it from. It
// reports what is wrong with the result unless that was wrong with the parent already.
func derive[C any](d *decoder, parent *level[C], table map[string]any, at path) *level[C] {
	child := &level[C]{at: at, table: table, parent: parent, config: parent.config}
	out, before := reflect.ValueOf(&child.config).Elem(), reflect.ValueOf(&parent.config).Elem()
	d.fields(out, table, at)
	d.judge(out, before, validate(before), table, at)
	for i := range out.NumField() {
		key := keyOf(out.Type().Field(i))
		from, ok := d.origin(parent.at.child(key))
		if _, set := table[key]; ok && !set {
			d.inherited[at.child(key)] = from
		}
	}
	return child
}

// entries returns the tables of a table of names, in the order of the names. One whose name cannot be used is reported.
func (d *decoder) entries(section map[string]any, key string, at path) iter.Seq2[string, map[string]any] {
	named := d.table(section, key, at)
	return func(yield func(string, map[string]any) bool) {
		for _, name := range slices.Sorted(maps.Keys(named)) {
			here := at.child(key).child(name)
			d.name(name, here)
			if !yield(name, d.asTable(named[name], here)) {
				return
			}
		}
	}
}

// name reports what is wrong with a name.
func (d *decoder) name(name string, at path) {
	var checks patterns.Checks
	checks.Name(name)
	for _, m := range mistakes(checks.Err("")) {
		d.fail(at, "the name %s", m.problem)
	}
}

// extends returns the base that an instance names, if there is one of that name.
func (d *decoder) extends(instance map[string]any, at path, bases []string) (string, bool) {
	value, ok := instance["extends"]
	if !ok {
		return "", false
	}
	name, ok := value.(string)
	if !ok {
		d.fail(at.child("extends"), "want the name of a base, got %s", describe(value, false))
		return "", false
	}
	if !slices.Contains(bases, name) {
		d.missing(at.child("extends"), "no base has the name %q%s", name, suggest(name, bases))
		return "", false
	}
	return name, true
}
