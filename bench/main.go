// Command bench measures Steady beside other Go libraries that do the same, in one interleaved run, and prints the
// result as Markdown. The same benchmarks run under go test -bench, without the interleaving.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"regexp"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/steadyfx/steady/testkit/services"
)

func main() {
	rounds := flag.Int("rounds", 9, "how often each benchmark is repeated")
	slice := flag.Duration("time", 100*time.Millisecond, "how long one repetition of one benchmark should take")
	only := flag.String("run", "", "measure only groups whose name matches this regular expression")
	flag.Parse()

	log.SetFlags(0)
	if err := compare(os.Stdout, *rounds, *slice, *only); err != nil {
		log.Fatal(err)
	}
}

func compare(out io.Writer, rounds int, slice time.Duration, only string) error {
	if rounds < 1 || slice <= 0 {
		return fmt.Errorf("-rounds and -time must be positive, got %d and %v", rounds, slice)
	}
	wanted, err := regexp.Compile(only)
	if err != nil {
		return fmt.Errorf("-run: %w", err)
	}
	request, cancel := context.WithCancel(context.Background())
	defer cancel()
	chosen, kept := matching(groups(request, nothing), wanted), slices.DeleteFunc(backends(), func(b backend) bool {
		return !b.matches(wanted)
	})
	if len(chosen) == 0 && len(kept) == 0 {
		return fmt.Errorf("-run: no group matches %q", only)
	}

	testing.Init() // registers the flag by which testing.Benchmark is told how long to take
	if err := flag.Set("test.benchtime", slice.String()); err != nil {
		return err
	}
	begun, before := time.Now(), readUsage()
	tables, err := measureAll(chosen, kept, wanted, rounds)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s, %d processors in use, %s/%s, %s. %s. Medians (minima) of %d × %v.\n",
		processor(), runtime.GOMAXPROCS(0), runtime.GOOS, runtime.GOARCH, runtime.Version(),
		begun.UTC().Format("2006-01-02 15:04 UTC"), rounds, slice)
	fmt.Fprintf(out, "Noise: %s.\n\n", noise(tables, before, readUsage()))
	fmt.Fprintf(out, "Versions: %s.\n", versions())
	for _, t := range tables {
		t.print(out)
	}
	return nil
}

// measureAll measures groups and then one backend after the other. What is not installed is left out.
func measureAll(groups []group, backends []backend, wanted *regexp.Regexp, rounds int) (tables []*table, err error) {
	if len(groups) > 0 {
		if tables, err = measure(groups, rounds); err != nil {
			return nil, err
		}
	}
	for _, b := range backends {
		log.Print(b.name)
		more, err := b.measure(context.Background(), wanted, rounds)
		switch {
		case errors.Is(err, services.ErrNotInstalled):
			log.Printf("left out: %v", err)
		case err != nil:
			return nil, fmt.Errorf("%s: %w", b.name, err)
		}
		tables = append(tables, more...)
	}
	return tables, nil
}
