package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// print writes the table as Markdown.
func (t *table) print(out io.Writer) {
	bases := t.bases()
	head := []string{""}
	for _, m := range t.modes {
		head = append(head, m.name+" ns")
		for _, b := range bases {
			head = append(head, "× "+b.name)
		}
	}
	head = append(head, "B", "allocs")
	fmt.Fprintf(out, "\n### %s\n\n%s\n\n", t.name, t.about)
	row(out, head)
	row(out, append([]string{"---"}, slices.Repeat([]string{"--:"}, len(head)-1)...))
	for i, c := range t.contenders {
		line := []string{c.name}
		if c.role == steady {
			line[0] = "**" + c.name + "**"
		}
		for m := range t.modes {
			measured := &t.cells[i][m]
			line = append(line, fmt.Sprintf("%s (%s)", nanos(measured.median()), nanos(measured.minimum())))
			for _, b := range bases {
				line = append(line, ratio(measured.median()/t.cells[b.contender][m].median()))
			}
		}
		first := &t.cells[i][0]
		row(out, append(line, strconv.FormatInt(median(first.bytes), 10), strconv.FormatInt(median(first.allocs), 10)))
	}
}

// base is a contender that others are compared with.
type base struct {
	name      string
	contender int
}

// bases returns the first contender of ours and the first floor. Floors alone are not compared.
func (t *table) bases() []base {
	first := func(r role) int { return slices.IndexFunc(t.contenders, func(c contender) bool { return c.role == r }) }
	var found []base
	if i := first(steady); i >= 0 {
		found = append(found, base{"Steady", i})
	}
	if i := first(floor); i >= 0 && (first(steady) >= 0 || first(peer) >= 0) {
		found = append(found, base{"floor", i})
	}
	return found
}

func row(out io.Writer, cells []string) { fmt.Fprintf(out, "| %s |\n", strings.Join(cells, " | ")) }

func nanos(v float64) string { return digits(v, 1) }

func ratio(v float64) string { return digits(v, 2) }

// digits shows three digits, of which at most decimals are behind the point.
func digits(v float64, decimals int) string {
	switch {
	case v >= 99.95:
		decimals = 0
	case v >= 9.995:
		decimals = 1
	}
	return strconv.FormatFloat(v, 'f', decimals, 64)
}
