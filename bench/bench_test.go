package main

import (
	"strings"
	"testing"
)

func BenchmarkFloors(b *testing.B)        { run(b, floors(nothing)) }
func BenchmarkBreakers(b *testing.B)      { run(b, breakers(nothing)...) }
func BenchmarkBulkheads(b *testing.B)     { run(b, bulkheads(nothing)...) }
func BenchmarkRateLimits(b *testing.B)    { run(b, rateLimits(nothing)...) }
func BenchmarkRetries(b *testing.B)       { run(b, retries(nothing)...) }
func BenchmarkTimeouts(b *testing.B)      { run(b, timeouts(b.Context(), nothing)...) }
func BenchmarkPipelines(b *testing.B)     { run(b, pipelines(nothing)...) }
func BenchmarkTransports(b *testing.B)    { run(b, transports(b.Context(), nothing)...) }
func BenchmarkIdempotencies(b *testing.B) { run(b, idempotencies(nothing)...) }
func BenchmarkServers(b *testing.B)       { run(b, servers(nothing)...) }

// BenchmarkBackends starts those whose name is asked for: -bench=Backends/Redis.
func BenchmarkBackends(b *testing.B) {
	for _, backend := range backends() {
		b.Run(backend.name, func(b *testing.B) { run(b, openIn(b, backend)...) })
	}
}

func run(b *testing.B, groups ...group) {
	name := strings.NewReplacer("`", "", "/", " ")
	for _, g := range groups {
		for _, c := range g.contenders {
			for _, m := range g.modes {
				b.Run(name.Replace(g.name)+"/"+name.Replace(c.name)+"/"+m.name, func(b *testing.B) {
					b.ReportAllocs()
					shown, err := g.run(b, c, m)
					if err != nil {
						b.Fatal(err)
					}
					if g.clock != nil {
						b.ReportMetric(float64(shown)/float64(b.N), "shown-ns/op")
					}
				})
			}
		}
	}
}
