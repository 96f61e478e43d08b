package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
)

// processor names the model, or just the architecture where the system does not say.
func processor() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

// versions lists the modules that are compared, and what those brought with them.
func versions() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	var all []string
	for _, m := range info.Deps {
		if m.Replace == nil { // else it is ours
			all = append(all, m.Path+" "+m.Version)
		}
	}
	return strings.Join(all, ", ")
}

// usage says how much processor time has been used since the machine was started, in ticks of the kernel.
type usage struct {
	own, busy, all uint64
}

// readUsage returns zero where the system does not say.
func readUsage() usage {
	machine, err := os.ReadFile("/proc/stat")
	if err != nil {
		return usage{}
	}
	process, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return usage{}
	}
	return parseUsage(string(machine), string(process))
}

// parseUsage reads the first line of /proc/stat and the line of /proc/self/stat, see proc(5). It returns zero for
// anything else.
func parseUsage(machine, process string) usage {
	total, _, _ := strings.Cut(machine, "\n")
	m := strings.Fields(total)
	p := strings.Fields(process[strings.LastIndexByte(process, ')')+1:]) // before: a name that may have spaces
	if len(m) < 9 || m[0] != "cpu" || len(p) < 13 {
		return usage{}
	}
	user, nice, system, idle, waiting := ticks(m[1]), ticks(m[2]), ticks(m[3]), ticks(m[4]), ticks(m[5])
	interrupts, stolen := ticks(m[6])+ticks(m[7]), ticks(m[8])
	busy := user + nice + system + interrupts + stolen
	return usage{own: ticks(p[11]) + ticks(p[12]), busy: busy, all: busy + idle + waiting}
}

func ticks(field string) uint64 {
	n, _ := strconv.ParseUint(field, 10, 64)
	return n
}

// noise says how much a run was disturbed: by how much the usual median is above its minimum, and what other
// processes took meanwhile.
func noise(tables []*table, before, after usage) string {
	var above []float64
	for _, t := range tables {
		for _, cells := range t.cells {
			for i := range cells {
				above = append(above, cells[i].median()/cells[i].minimum()-1)
			}
		}
	}
	text := fmt.Sprintf("half of the medians are within %.0f %% of their minimum", 100*median(above))
	if all := after.all - before.all; all > 0 && after.busy > 0 {
		others := float64(after.busy-before.busy) - float64(after.own-before.own)
		text += fmt.Sprintf(", other processes used %.0f %% of the machine", 100*max(0, others)/float64(all))
	}
	return text
}
