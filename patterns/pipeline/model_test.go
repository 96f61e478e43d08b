package pipeline_test

import (
	"context"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/circuitbreaker"
	"github.com/steadyfx/steady/patterns/hedge"
	"github.com/steadyfx/steady/patterns/pipeline"
	"github.com/steadyfx/steady/patterns/retry"
	"github.com/steadyfx/steady/patterns/timeout"
)

// world is what a configuration says of the instances a and b of each pattern, in seconds where it is a time.
type world struct {
	limit    map[string]int // of a timeout
	window   map[string]int // of a circuit breaker
	own      map[string]int // limit of a circuit breaker, 0 for none
	attempts map[string]int // of a retry
	delay    map[string]int // between these
	wait     map[string]int // of a hedge
	payer    map[string]string
}

var instanceNames = []string{"a", "b"}

func drawWorld(t *rapid.T) world {
	times := func(label string, from, to int) map[string]int {
		m := map[string]int{}
		for _, name := range instanceNames {
			m[name] = rapid.IntRange(from, to).Draw(t, label+" "+name)
		}
		return m
	}
	w := world{
		limit: times("limit", 1, 6), window: times("window", 1, 12), own: times("own limit", 0, 6),
		attempts: times("attempts", 1, 4), delay: times("delay", 1, 3), wait: times("wait", 1, 6), payer: map[string]string{},
	}
	for _, who := range []string{"retry a", "retry b", "hedge a", "hedge b"} {
		w.payer[who] = rapid.SampledFrom([]string{"", "x", "y"}).Draw(t, "payer of "+who)
	}
	return w
}

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }

func (w world) retry(name string) retry.Config {
	return retry.Config{
		MaxAttempts: w.attempts[name], BaseDelay: seconds(w.delay[name]), MaxDelay: time.Minute, Backoff: retry.Constant,
		BackoffFactor: 1, Jitter: retry.NoJitter, Budget: w.payer["retry "+name],
	}
}

func (w world) hedge(name string) hedge.Config {
	return hedge.Config{Delay: seconds(w.wait[name]), MaxHedges: 1, Budget: w.payer["hedge "+name]}
}

func (w world) breaker(name string) circuitbreaker.Config {
	c := circuitbreaker.DefaultConfig()
	c.SlidingWindow, c.Timeout = seconds(w.window[name]), seconds(w.own[name])
	return c
}

func (w world) timeout(name string) timeout.Config {
	return timeout.Config{Timeout: seconds(w.limit[name]), Message: "late"}
}

func (w world) config(ref pipeline.Reference) any {
	switch ref.Step {
	case pipeline.Retry:
		return w.retry(ref.Instance)
	case pipeline.Hedge:
		return w.hedge(ref.Instance)
	case pipeline.CircuitBreaker:
		return w.breaker(ref.Instance)
	case pipeline.Timeout, pipeline.TotalTimeout:
		return w.timeout(ref.Instance)
	}
	return nil
}

func instancesOf[C any](config func(string) C) patterns.Instances[C] {
	i := patterns.Instances[C]{Default: config("a"), Named: map[string]C{}}
	for _, name := range instanceNames {
		i.Named[name] = config(name)
	}
	return i
}

func (w world) factory(t *rapid.T, given []pipeline.Member, def pipeline.Definition) (*pipeline.Factory, error) {
	t.Helper()
	breakers, err := circuitbreaker.NewRegistry(instancesOf(w.breaker))
	if err != nil {
		t.Fatal(err)
	}
	return pipeline.NewFactory(pipeline.FactoryConfig{
		CircuitBreakers: breakers, Timeouts: instancesOf(w.timeout), Retries: instancesOf(w.retry), Hedges: instancesOf(w.hedge),
		Given: given, Pipelines: map[string]pipeline.Definition{"p": def},
	})
}

// misfits returns the places of the steps that are wrong, by the rules as one would say them.
func (w world) misfits(steps []pipeline.Reference) []int {
	limit := func(r pipeline.Reference) int {
		switch r.Step {
		case pipeline.Timeout, pipeline.TotalTimeout:
			return w.limit[r.Instance]
		case pipeline.CircuitBreaker:
			return w.own[r.Instance]
		}
		return 0
	}
	repeats := func(r pipeline.Reference) bool {
		return r.Step == pipeline.Hedge || r.Step == pipeline.Retry && w.attempts[r.Instance] > 1
	}
	payer := func(r pipeline.Reference) string { return w.payer[string(r.Step)+" "+r.Instance] }
	same := func(a, b pipeline.Reference) bool {
		kind := func(r pipeline.Reference) string { return strings.TrimPrefix(string(r.Step), "total_") }
		return kind(a) == kind(b) && a.Instance == b.Instance
	}
	var wrong []int
	for i, s := range steps {
		bad := false
		for _, outer := range steps[:i] {
			ends := limit(outer)
			bad = bad || same(s, outer)
			bad = bad || payer(s) != "" && payer(s) == payer(outer)
			bad = bad || s.Step == pipeline.Fallback && outer.Step != pipeline.Fallback && outer.Step != pipeline.Custom
			bad = bad || s.Step == pipeline.TotalTimeout && repeats(outer)
			if ends == 0 {
				continue
			}
			bad = bad || (s.Step == pipeline.Timeout || s.Step == pipeline.TotalTimeout) && limit(s) > ends
			bad = bad || s.Step == pipeline.Retry && (w.attempts[s.Instance]-1)*w.delay[s.Instance] >= ends
			bad = bad || s.Step == pipeline.Hedge && w.wait[s.Instance] >= ends
		}
		if s.Step == pipeline.Hedge {
			for _, inner := range steps[i+1:] {
				if repeats(inner) {
					break
				}
				bad = bad || limit(inner) > 0 && w.wait[s.Instance] >= limit(inner)
			}
		}
		if s.Step == pipeline.CircuitBreaker {
			least := 0
			for _, any := range steps {
				if l := limit(any); l > 0 && (least == 0 || l < least) {
					least = l
				}
			}
			bad = bad || w.window[s.Instance] < 2*least
		}
		if bad {
			wrong = append(wrong, i)
		}
	}
	return wrong
}

var place = regexp.MustCompile(`(?m)^(?:pipelines\.p\.)?steps\[(\d+)\]`)

// placesIn returns the places that an error names, in order.
func placesIn(t *rapid.T, err error) []int {
	var places []int
	for _, found := range place.FindAllStringSubmatch(err.Error(), -1) {
		var n int
		if _, err := fmt.Sscan(found[1], &n); err != nil {
			t.Fatal(err)
		}
		places = append(places, n)
	}
	slices.Sort(places)
	return slices.Compact(places)
}

// A definition becomes a pipeline that says what was defined, or an error that names the steps that are wrong.
func TestDefinitionsBehaveLikeTheirModel(t *testing.T) {
	var given []pipeline.Member
	for _, name := range instanceNames {
		given = append(given, pipeline.Member{Step: pipeline.Fallback, Instance: name, Policy: answers(t, name)},
			pipeline.Member{Step: pipeline.Custom, Instance: name, Policy: patterns.Direct{}})
	}
	built, refused := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		def := pipeline.Definition{Steps: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) pipeline.Reference {
			return pipeline.Reference{
				Step: rapid.SampledFrom(pipeline.Steps()).Draw(t, "kind"), Instance: rapid.SampledFrom(instanceNames).Draw(t, "name"),
			}
		}), 1, 5).Draw(t, "steps")}
		wrong := w.misfits(def.Steps)
		f, err := w.factory(t, given, def)
		if judged := def.Validate(w.config); (judged == nil) != (len(wrong) == 0) ||
			judged != nil && !reflect.DeepEqual(placesIn(t, judged), wrong) {
			t.Fatalf("%v: judged %v, wrong are %v", def, judged, wrong)
		}
		if len(wrong) > 0 {
			refused++
			if err == nil || !reflect.DeepEqual(placesIn(t, err), wrong) {
				t.Fatalf("%v: got %v, wrong are %v", def, err, wrong)
			}
			return
		}
		if err != nil {
			t.Fatalf("%v: %v", def, err)
		}
		built++
		p, err := f.Get("p")
		if err != nil {
			t.Fatal(err)
		}
		var again pipeline.Definition
		for _, s := range p.Describe().Steps {
			again.Steps = append(again.Steps, pipeline.Reference{Step: s.Step, Instance: s.Instance})
		}
		if !reflect.DeepEqual(again, def) || p.String() != def.String() || !reflect.DeepEqual(parse(p.String()), def) {
			t.Fatalf("%v is described as %v", def, p.Describe())
		}
		runs := 0
		if err := p.Execute(context.Background(), func(context.Context) error { runs++; return nil }); err != nil || runs != 1 {
			t.Fatalf("%v ran %d times: %v", def, runs, err)
		}
	})
	if built == 0 || refused == 0 {
		t.Errorf("%d were built, %d refused: this shows little", built, refused)
	}
}

// parse reads what String of a definition writes.
func parse(text string) (d pipeline.Definition) {
	for step := range strings.SplitSeq(text, " > ") {
		kind, name, _ := strings.Cut(strings.TrimSuffix(step, ")"), "(")
		d.Steps = append(d.Steps, pipeline.Reference{Step: pipeline.Step(kind), Instance: name})
	}
	return d
}
