package config

import (
	"fmt"
	"strings"
)

const (
	mostListed   = 16   // names in a message
	mostCompared = 1000 // names that may have been meant
)

// suggest ends a message about an unknown name: with the known one that was probably meant, else with all there are.
func suggest(got string, known []string) string {
	if len(known) == 0 {
		return ""
	}
	best, least := "", 2+len(got)/4
	for _, name := range known[:min(len(known), mostCompared)] {
		if d := distance(strings.ToLower(got), strings.ToLower(name), least); d < least {
			best, least = name, d
		}
	}
	if best != "" {
		return fmt.Sprintf("; did you mean %q?", best)
	}
	if len(known) > mostListed {
		return "; known: " + strings.Join(known[:mostListed], ", ") + " and others"
	}
	return "; known: " + strings.Join(known, ", ")
}

// distance returns how many bytes must be inserted, removed or replaced to make b of a (Levenshtein), or limit if that
// is clear from the lengths.
func distance(a, b string, limit int) int {
	if max(len(a)-len(b), len(b)-len(a)) >= limit {
		return limit
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(row[j]+1, row[j+1]+1, replaced)
		}
	}
	return row[len(b)]
}
