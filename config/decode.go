package config

import (
	"errors"
	"maps"
	"reflect"
	"slices"

	"github.com/steadyfx/steady/patterns"
)

// decoder turns tables into Go values, each of which holds its defaults.
type decoder struct {
	*report
	inherited map[path]origin // of what an instance or a base has from what it was derived from
}

// origin returns where the value at a path comes from, its own or an inherited one.
func (d *decoder) origin(at path) (origin, bool) {
	if from, ok := d.origins[at]; ok {
		return from, true
	}
	from, ok := d.inherited[at]
	return from, ok
}

// sources returns all origins for [Tree.Source]. Should two paths look the same there, it is always the same one that
// wins.
func (d *decoder) sources() map[string]string {
	all := make(map[string]string, len(d.origins)+len(d.inherited))
	for _, origins := range []map[path]origin{d.inherited, d.origins} {
		for _, at := range slices.Sorted(maps.Keys(origins)) {
			all[at.String()] = origins[at].source
		}
	}
	return all
}

// unknownKeys reports every key that the schema does not have.
func (d *decoder) unknownKeys(value any, s *shape, at path) {
	switch v := value.(type) {
	case []any:
		for i, item := range v {
			if s.items != nil {
				d.unknownKeys(item, s.items, at.item(i))
			}
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if child := s.child(key); child != nil {
				d.unknownKeys(v[key], child, at.child(key))
			} else if s.isTable() { // where it is not, the table is the mistake
				d.fail(at.child(key), "unknown key%s", suggest(key, s.known(nil)))
			}
		}
	}
}

// section decodes the table below a key onto *out and judges the result.
func (d *decoder) section(out reflect.Value, parent map[string]any, key string, at path) {
	before := reflect.New(out.Type().Elem()).Elem()
	before.Set(out.Elem())
	table := d.table(parent, key, at)
	at = at.child(key)
	d.fields(out.Elem(), table, at)
	d.judge(out.Elem(), before, nil, table, at)
}

// ownSection is section for one that is no application's: its rules say which keys can have no effect.
func ownSection[C any](d *decoder, out *C, parent map[string]any, key string, at path, rules ...idle[C]) {
	d.section(reflect.ValueOf(out), parent, key, at)
	reportIdle(d, []*level[C]{{at: at.child(key), table: asTable(parent[key]), config: *out}}, rules)
}

// table returns the table below a key, nil if there is none.
func (d *decoder) table(parent map[string]any, key string, at path) map[string]any {
	value, ok := parent[key]
	if !ok {
		return nil
	}
	return d.asTable(value, at.child(key))
}

func (d *decoder) asTable(value any, at path) map[string]any {
	table, ok := value.(map[string]any)
	if !ok {
		d.fail(at, "want a table of keys, got %s", describe(value, true))
	}
	return table
}

// fields decodes a table onto the fields of a struct. Keys that are absent leave their fields as they are.
func (d *decoder) fields(out reflect.Value, table map[string]any, at path) {
	for i := range out.NumField() {
		field := out.Type().Field(i)
		key := keyOf(field)
		if value, ok := table[key]; ok && key != "" {
			d.value(out.Field(i), value, at.child(key), field.Tag.Get("secret") == "true")
		}
	}
}

func (d *decoder) value(out reflect.Value, value any, at path, secret bool) {
	switch {
	case isScalar(out.Type()):
		if problem := setScalar(out, value, secret); problem != "" {
			d.fail(at, "%s", problem)
		}
	case out.Kind() == reflect.Struct:
		d.fields(out, d.asTable(value, at), at)
	case out.Kind() == reflect.Map:
		d.named(out, d.asTable(value, at), at, secret)
	case out.Kind() == reflect.Slice:
		d.list(out, value, at, secret)
	}
}

// named decodes a table of names. An entry that is there already is the default of the one of the same name.
func (d *decoder) named(out reflect.Value, table map[string]any, at path, secret bool) {
	entries := reflect.MakeMap(out.Type())
	for name, entry := range out.Seq2() {
		entries.SetMapIndex(name, entry)
	}
	for _, name := range slices.Sorted(maps.Keys(table)) {
		key := reflect.ValueOf(name).Convert(out.Type().Key())
		entry := reflect.New(out.Type().Elem()).Elem()
		if old := out.MapIndex(key); old.IsValid() {
			entry.Set(old)
		}
		d.value(entry, table[name], at.child(name), secret)
		entries.SetMapIndex(key, entry)
	}
	out.Set(entries)
}

func (d *decoder) list(out reflect.Value, value any, at path, secret bool) {
	items, ok := asList(value)
	if !ok {
		d.fail(at, "want a list, got %s", describe(value, secret))
		return
	}
	list := reflect.MakeSlice(out.Type(), len(items), len(items))
	before := len(d.errs)
	for i, item := range items {
		d.value(list.Index(i), item, at.item(i), secret)
	}
	if len(d.errs) == before {
		out.Set(list)
	}
}

// mistake is what a Validate method says is wrong.
type mistake struct {
	field   string
	problem string
	cause   error
}

// judge reports what Validate finds wrong with a struct that was decoded from a table onto what it was before, except
// for what is known already and not of this table's making. The blame is on the field if the table sets it, and else
// on the key that, taken back to what it was before, makes the mistake go away: a max_delay that was fine becomes
// wrong by a base_delay.
func (d *decoder) judge(out, before reflect.Value, known []mistake, table map[string]any, at path) {
	if d.partial {
		return
	}
	for _, m := range validate(out) {
		place, problem := at.field(m.field), m.problem
		_, set := d.origins[place.key()]
		same := func(k mistake) bool { return k.field == m.field && k.problem == m.problem }
		if d.failed[place] || !set && slices.ContainsFunc(known, same) {
			continue
		}
		if !set && m.field != "" {
			if culprit := d.culprit(out, before, table, m.field); culprit != "" {
				place, problem = at.child(culprit), m.field+" "+m.problem
			}
		}
		d.add(place, problem, m.cause)
	}
}

// culprit returns the key of the table that makes a field wrong, or "" if it is none of them alone.
func (d *decoder) culprit(out, before reflect.Value, table map[string]any, wrong string) string {
	for i := range out.NumField() {
		key := keyOf(out.Type().Field(i))
		if _, set := table[key]; !set || key == "" {
			continue
		}
		trial := reflect.New(out.Type()).Elem()
		trial.Set(out)
		trial.Field(i).Set(before.Field(i))
		if !slices.ContainsFunc(validate(trial), func(m mistake) bool { return m.field == wrong }) {
			return key
		}
	}
	return ""
}

// validate calls the Validate method of a struct, if it has one.
func validate(v reflect.Value) []mistake {
	fresh := reflect.New(v.Type()) // has the methods of the pointer too, and may be changed by them
	fresh.Elem().Set(v)
	if validator, ok := fresh.Interface().(interface{ Validate() error }); ok {
		return mistakes(validator.Validate())
	}
	return nil
}

// mistakes takes an error apart that holds a [patterns.FieldError] or joins several errors.
func mistakes(err error) []mistake {
	if err == nil {
		return nil
	}
	var field *patterns.FieldError
	holdsField := errors.As(err, &field)
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		parts := several.Unwrap()
		if holdsField || errors.Join(parts...).Error() == err.Error() { // else it says more than its parts
			var all []mistake
			for _, part := range parts {
				all = append(all, mistakes(part)...)
			}
			return all
		}
	}
	if inner := errors.Unwrap(err); inner != nil && holdsField {
		return mistakes(inner)
	}
	if holdsField {
		return []mistake{{field: field.Field, problem: field.Problem, cause: err}}
	}
	return []mistake{{problem: err.Error(), cause: err}}
}
