package pipeline

import (
	"encoding"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/steadyfx/steady/patterns/retry"
)

// Description says what a [Pipeline] is: as its String for people, and field by field for tests.
type Description struct {
	Name     string
	Steps    []StepDescription // outermost first
	Warnings []string          // of what is allowed, but may not be what is meant
}

// StepDescription says what one step is.
type StepDescription struct {
	Step     Step
	Instance string
	Config   any                 // the Config of its pattern as it is in use; nil if it has none to show
	Budget   *retry.BudgetConfig // of what pays for its further attempts; nil if nothing does
	Steps    []StepDescription   // of a composition that is a step
}

// Describe says what p is at present.
func (p *Pipeline) Describe() Description {
	return Description{Name: p.name, Steps: describeAll(p.steps), Warnings: judge(stagesOf(p.steps)).warnings}
}

func describeAll(members []Member) []StepDescription {
	var steps []StepDescription
	for _, m := range members {
		d := StepDescription{Step: m.Step, Instance: m.Instance, Steps: describeAll(partsOf(m.Policy))}
		_, d.Config = inspect(m.Policy)
		if b := budgetOf(m.Policy); b != nil {
			c := b.Config()
			d.Budget = &c
		}
		steps = append(steps, d)
	}
	return steps
}

// String returns a page of text: the steps with their configuration, as configuration files spell it, and the warnings.
// Values that are zero, which mostly means off, and secrets are left out.
func (d Description) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "pipeline %q, outermost step first\n", d.Name)
	describe(&b, d.Steps, "")
	for i, w := range d.Warnings {
		if i == 0 {
			b.WriteString("warnings\n")
		}
		wrap(&b, "  - ", "    ", strings.Fields(w), " ")
	}
	return b.String()
}

func describe(b *strings.Builder, steps []StepDescription, indent string) {
	for i, s := range steps {
		fmt.Fprintf(b, "%s  %d. %s %q\n", indent, i+1, s.Step, s.Instance)
		below := indent + "     "
		wrap(b, below, below, settings(s.Config), ", ")
		if s.Budget != nil {
			wrap(b, below+"budget: ", below+"  ", settings(*s.Budget), ", ")
		}
		describe(b, s.Steps, below)
	}
}

// settings returns what a struct of a configuration holds, as in "max_attempts 3".
func settings(config any) []string {
	v := reflect.ValueOf(config)
	if v.Kind() != reflect.Struct {
		return nil
	}
	var all []string
	for i := range v.NumField() {
		field := v.Type().Field(i)
		key, _, _ := strings.Cut(field.Tag.Get("koanf"), ",")
		if key == "" || key == "-" || field.Tag.Get("secret") == "true" || v.Field(i).IsZero() {
			continue
		}
		all = append(all, key+" "+setting(v.Field(i)))
	}
	return all
}

func setting(v reflect.Value) string {
	if text, ok := v.Interface().(encoding.TextMarshaler); ok {
		if b, err := text.MarshalText(); err == nil {
			return string(b)
		}
	}
	if v.Kind() == reflect.String {
		return strconv.Quote(v.String())
	}
	return fmt.Sprint(v.Interface())
}

// wrap writes words in lines, the first after one prefix and the others after another. Without words it writes nothing.
func wrap(b *strings.Builder, first, others string, words []string, between string) {
	const longest = 100
	line := first
	for i, w := range words {
		if i < len(words)-1 {
			w += between
		}
		if line != first && line != others && len(line)+len(strings.TrimRight(w, " ")) > longest {
			b.WriteString(strings.TrimRight(line, " ") + "\n")
			line = others
		}
		line += w
	}
	if len(words) > 0 {
		b.WriteString(line + "\n")
	}
}
