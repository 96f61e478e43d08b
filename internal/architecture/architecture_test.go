package architecture

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/steadyfx/steady/"

// Modules of others that some packages may import.
const (
	fx           = "go.uber.org/fx/..."
	zap          = "go.uber.org/zap/..."
	redis        = "github.com/redis/go-redis/v9/..."
	pgx          = "github.com/jackc/pgx/v5/..."
	mysql        = "github.com/go-sql-driver/mysql"
	sqlite       = "modernc.org/sqlite"
	koanf        = "github.com/knadh/koanf/..."
	mapstructure = "github.com/go-viper/mapstructure/v2"
	yaml         = "go.yaml.in/yaml/v3"
	porcupine    = "github.com/anishathalye/porcupine"
)

// rule says what the packages of one kind may import, beside the standard library. The names of ours are without the
// module; a name that ends in /... also stands for everything below it.
type rule struct {
	packages string
	imports  []string
}

// rules has one for each package: the first that names it. A new kind of package needs a new rule.
var rules = []rule{
	{"hooks", nil},
	{"hooks/zaphooks", []string{"hooks", zap}},

	{"patterns", nil},
	{"patterns/circuitbreaker", []string{"hooks", "patterns", "patterns/state", "patterns/timeout"}},
	{"patterns/hedge", []string{"hooks", "patterns", "patterns/retry"}},
	{"patterns/pipeline", []string{"hooks", "patterns", "patterns/bulkhead", "patterns/circuitbreaker", "patterns/fallback",
		"patterns/hedge", "patterns/ratelimit", "patterns/retry", "patterns/throttle", "patterns/timeout"}},
	{"patterns/resiliencehttp", []string{"patterns", "patterns/circuitbreaker"}},
	{"patterns/throttle", []string{"hooks", "patterns", "patterns/ratelimit"}},
	{"patterns/...", []string{"hooks", "patterns"}},

	{"stores/memstore", []string{"hooks", "patterns/..."}},
	{"stores/redisstore", []string{"hooks", "patterns/...", "stores/memstore", redis}},
	{"stores/pgstore", []string{"patterns/...", pgx}},
	{"stores/sqlitestore", []string{"internal/sqlrecord", "patterns/...", sqlite}},
	{"stores/mysqlstore", []string{"internal/sqlrecord", "patterns/...", mysql}},
	{"stores/storetest", []string{"hooks", "patterns/...", porcupine}},

	{"config", []string{"patterns/...", koanf, mapstructure, yaml}},

	{"internal/sqlrecord", []string{"patterns/..."}},
	{"internal/wiring", []string{"config", "hooks/...", "patterns/...", fx, zap}},
	{"internal/architecture", nil},
	{"internal/readme", nil},
	{"resiliencefx", []string{"config", "hooks/...", "internal/wiring", "patterns/...", "stores/...", fx, zap, redis}},
	{"idempotencyfx", []string{"config", "hooks/...", "internal/wiring", "patterns/...", "stores/...", fx, zap, redis, pgx}},

	{"testkit", []string{"config", "hooks/...", "idempotencyfx", "patterns/...", "resiliencefx", "stores/...",
		fx, zap}},
	{"testkit/faults", nil},
	{"testkit/histories", []string{"patterns/...", porcupine}},
	{"testkit/services", []string{redis, pgx, mysql}},

	{"examples/...", []string{"config", "examples/...", "hooks/...", "idempotencyfx", "patterns/...", "resiliencefx",
		"stores/...", "testkit/services", fx, zap, redis, pgx, mysql}},
}

// testOnly is what a program must not carry with it because it uses this library.
var testOnly = []string{
	"testing/...",
	"net/http/httptest",
	"github.com/alicebob/miniredis/...",
	porcupine,
	"go.uber.org/fx/fxtest",
	"go.uber.org/goleak/...",
	"pgregory.net/rapid/...",
	"stores/storetest",
	"testkit",
}

// testKits are the packages that may import those, though they are not tests.
var testKits = []string{"stores/storetest", "testkit/..."}

func TestArrowsPointDown(t *testing.T) {
	used := make([]bool, len(rules))
	for _, p := range packages(t) {
		for _, wrong := range complaints(p.ImportPath, p.Imports) {
			t.Error(wrong)
		}
		if i := ruleOf(strings.TrimPrefix(p.ImportPath, module)); i >= 0 {
			used[i] = true
		}
	}
	for i, r := range rules {
		if !used[i] {
			t.Errorf("the rule of %s is for no package: remove it, or go list did not see all", r.packages)
		}
	}
}

func TestEveryPackageForUsersSaysWhatItIsAndShowsHow(t *testing.T) {
	for _, p := range packages(t) {
		name := strings.TrimPrefix(p.ImportPath, module)
		if p.Name == "main" || matchesAny(name, []string{"internal/...", "examples/..."}) {
			continue
		}
		if p.Doc == "" {
			t.Errorf("%s has no doc comment", name)
		}
		if !hasExample(t, p) {
			t.Errorf("%s has no Example in its tests", name)
		}
	}
}

func TestWrongArrowsAreSeen(t *testing.T) {
	for _, c := range []struct{ from, to, want string }{
		{"hooks", module + "patterns", "hooks imports patterns, but may import only: the standard library"},
		{"hooks/zaphooks", module + "config", "hooks/zaphooks imports config"},
		{"patterns", module + "patterns/retry", "patterns imports patterns/retry"},
		{"patterns/retry", module + "patterns/timeout", "patterns/retry imports patterns/timeout"},
		{"patterns/retry", module + "patterns/pipeline", "patterns/retry imports patterns/pipeline"},
		{"patterns/retry/backoff", "go.uber.org/fx", "patterns/retry/backoff imports go.uber.org/fx"},
		{"patterns/pipeline", module + "hooks/zaphooks", "patterns/pipeline imports hooks/zaphooks"},
		{"stores/redisstore", module + "stores/storetest", "stores/redisstore imports stores/storetest"},
		{"stores/memstore", "github.com/redis/go-redis/v9", "stores/memstore imports github.com/redis/go-redis/v9"},
		{"config", "github.com/redis/go-redis/v9/internal/pool", "config imports github.com/redis/go-redis"},
		{"config", "go.uber.org/fxtra", "config imports go.uber.org/fxtra"},
		{"idempotencyfx", module + "testkit", "idempotencyfx imports testkit"},
		{"resiliencefx", "testing", "resiliencefx imports testing, but that is for tests"},
		{"patterns/timeout", "testing/synctest", "patterns/timeout imports testing/synctest, but that is for tests"},
		{"common", "strings", "common has no rule"},
	} {
		got := complaints(module+c.from, []string{"context", c.to, "time"})
		if len(got) != 1 || !strings.HasPrefix(got[0], c.want) {
			t.Errorf("%s -> %s: %q, want one that begins with %q", c.from, c.to, got, c.want)
		}
	}
	for _, c := range []struct{ from, to string }{
		{"hooks", "sync/atomic"},
		{"patterns/circuitbreaker", module + "patterns/timeout"},
		{"stores/redisstore", "github.com/redis/go-redis/v9"},
		{"stores/redisstore", "github.com/redis/go-redis/v9/maintnotifications"},
		{"stores/storetest", "testing/synctest"},
		{"testkit", "go.uber.org/fx/fxtest"},
	} {
		if got := complaints(module+c.from, []string{c.to}); got != nil {
			t.Errorf("%s -> %s: %q, want none", c.from, c.to, got)
		}
	}
}

// complaints says what is wrong with the imports of a package of ours.
func complaints(from string, imports []string) []string {
	from = strings.TrimPrefix(from, module)
	i := ruleOf(from)
	if i < 0 {
		return []string{from + " has no rule: add one that says what it may import"}
	}
	var wrong []string
	for _, path := range imports {
		to := strings.TrimPrefix(path, module)
		switch {
		case matchesAny(to, testOnly) && !matchesAny(from, testKits):
			wrong = append(wrong, from+" imports "+to+", but that is for tests and for "+strings.Join(testKits, ", "))
		case !standard(path) && !matchesAny(to, rules[i].imports):
			only := append([]string{"the standard library"}, rules[i].imports...)
			wrong = append(wrong, from+" imports "+to+", but may import only: "+strings.Join(only, ", "))
		}
	}
	return wrong
}

// ruleOf returns the index of the rule of a package, or -1.
func ruleOf(name string) int {
	return slices.IndexFunc(rules, func(r rule) bool { return matches(name, r.packages) })
}

// standard reports whether a path is of the standard library: there, the first element has no dot.
func standard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".")
}

func matches(name, pattern string) bool {
	tree, isTree := strings.CutSuffix(pattern, "/...")
	return name == tree || isTree && strings.HasPrefix(name, tree+"/")
}

func matchesAny(name string, patterns []string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return matches(name, p) })
}

// goPackage is what these tests need of what go list says.
type goPackage struct {
	Dir, ImportPath, Name, Doc string
	Imports                    []string
	TestGoFiles, XTestGoFiles  []string
}

func packages(t *testing.T) []goPackage {
	t.Helper()
	list := exec.Command("go", "list", "-json", "./...")
	list.Dir = filepath.Join("..", "..")
	list.Stderr = os.Stderr
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []goPackage
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("go list: %v", err)
		}
		// The go command repeats the result of this test only while what the test itself has read is the same.
		if _, err := os.ReadDir(p.Dir); err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	return all
}

func hasExample(t *testing.T, p goPackage) bool {
	t.Helper()
	for _, name := range slices.Concat(p.TestGoFiles, p.XTestGoFiles) {
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Example") {
				return true
			}
		}
	}
	return false
}
