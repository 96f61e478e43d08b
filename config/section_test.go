package config_test

import (
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/steadyfx/steady/config"
	"github.com/steadyfx/steady/patterns"
)

type provider struct {
	URL     string        `koanf:"url"`
	Timeout time.Duration `koanf:"timeout"`
	Token   string        `koanf:"token" secret:"true"`
}

type payments struct {
	Listen    string              `koanf:"listen"`
	Provider  provider            `koanf:"provider"`
	Regions   map[string]provider `koanf:"regions"`
	Labels    map[string]string   `koanf:"labels"`
	Mirrors   []provider          `koanf:"mirrors"`
	Weights   []float64           `koanf:"weights"`
	Level     slog.Level          `koanf:"level"`
	Small     int8                `koanf:"small"`
	Count     uint16              `koanf:"count"`
	Wide      uint64              `koanf:"wide"`
	Ratio     float32             `koanf:"ratio"`
	Untagged  string
	Dash      string `koanf:"-"`
	unexposed string `koanf:"unexposed"`
}

func (p payments) Validate() error {
	var checks patterns.Checks
	checks.That(p.Listen != "", "listen", "must not be empty")
	checks.That(p.Provider.URL != "", "provider.url", "must not be empty")
	checks.That(int(p.Count) >= int(p.Small), "count", "must be at least small (%d), got %d", p.Small, p.Count)
	if p.Ratio < 0 {
		return errors.Join(checks.Err("payments"), errors.New("ratio: negative"), fmt.Errorf("also: %w", errors.ErrUnsupported))
	}
	return checks.Err("payments")
}

func defaultPayments() payments {
	return payments{
		Listen: ":8080", Provider: provider{URL: "http://localhost", Timeout: time.Second},
		Regions: map[string]provider{"eu": {URL: "http://eu", Timeout: time.Second}, "us": {URL: "http://us"}},
		Labels:  map[string]string{"team": "a"}, Untagged: "u", unexposed: "x",
	}
}

func TestSectionOfTheApplication(t *testing.T) {
	inDir(t, map[string]string{"app.yaml": `
redis: {db: 1}
payments:
  listen: 127.0.0.1:0
  provider: {timeout: 2}
  regions:
    eu: {timeout: 3}
    ap.south: {url: http://ap}
  labels: {team: b, tier: "1"}
  mirrors: [{url: http://m, timeout: 1}, {url: http://n}]
  weights: [1, 2.5]
  level: WARN
  small: -3
  count: 5
  wide: 18446744073709551615
  ratio: 0.5
`})
	app := defaultPayments()
	defaults := app.Regions
	tree := load(t, config.File("app.yaml"), config.Section("payments", &app), config.Env([]string{
		"STEADY_PAYMENTS__REGIONS__AP_SOUTH__TIMEOUT=4", "STEADY_PAYMENTS__PROVIDER__TOKEN=s3cret",
		"STEADY_PAYMENTS__LABELS__TIER=2", "STEADY_PAYMENTS__WEIGHTS=3,4",
	}))
	want := payments{
		Listen: "127.0.0.1:0", Provider: provider{URL: "http://localhost", Timeout: 2 * time.Second, Token: "s3cret"},
		Regions: map[string]provider{
			"eu": {URL: "http://eu", Timeout: 3 * time.Second}, "us": {URL: "http://us"},
			"ap.south": {URL: "http://ap", Timeout: 4 * time.Second},
		},
		Labels:  map[string]string{"team": "b", "tier": "2"},
		Mirrors: []provider{{URL: "http://m", Timeout: time.Second}, {URL: "http://n"}},
		Weights: []float64{3, 4}, Level: slog.LevelWarn, Small: -3, Count: 5, Wide: 1<<64 - 1, Ratio: 0.5,
		Untagged: "u", unexposed: "x",
	}
	if !reflect.DeepEqual(app, want) {
		t.Errorf("got\n%+v, want\n%+v", app, want)
	}
	if defaults["eu"].Timeout != time.Second || len(defaults) != 2 {
		t.Errorf("Load changed the map of the defaults: %v", defaults)
	}
	if got := tree.Source("payments.provider.timeout"); got != "app.yaml" {
		t.Errorf("timeout comes from %q", got)
	}
	if tree.Redis.DB != 1 {
		t.Error("the section displaced another")
	}
}

func TestWrongSection(t *testing.T) {
	inDir(t, map[string]string{"app.yaml": `
payments:
  listen: ""
  unexposed: x
  Untagged: x
  provider: {uri: x, url: 1, token: [hunter2]}
  regions: {eu: 5}
  mirrors: [{urn: x}, 7]
  level: LOUD
  small: 128
  count: -1
  ratio: 1e300
`})
	app := defaultPayments()
	tree, err := config.Load(config.File("app.yaml"), config.Section("payments", &app))
	wantMistakes(t, tree, err,
		`payments.Untagged: unknown key; known: count, labels, level, listen, mirrors, provider, ratio, regions, small, weights, wide (app.yaml:5)`,
		`payments.mirrors[0].urn: unknown key; did you mean "url"? (app.yaml:8)`,
		`payments.provider.uri: unknown key; did you mean "url"? (app.yaml:6)`,
		`payments.unexposed: unknown key; known: count, labels, level, listen, mirrors, provider, ratio, regions, small, weights, wide (app.yaml:4)`,
		`payments.provider.url: want text, got 1; put it in quotes (app.yaml:6)`,
		`payments.provider.token: want text, got a list; put it in quotes (app.yaml:6)`,
		`payments.regions.eu: want a table of keys, got a number (app.yaml:7)`,
		`payments.mirrors[1]: want a table of keys, got a number (app.yaml:8)`,
		`payments.level: slog: level string "LOUD": unknown name (app.yaml:9)`,
		`payments.small: want an integer from -128 to 127, got 128 (app.yaml:10)`,
		`payments.count: want an integer from 0 to 65535, got -1 (app.yaml:11)`,
		`payments.ratio: want a number, got 1e+300 (app.yaml:12)`,
		`payments.listen: must not be empty (app.yaml:3)`,
	)
	if !reflect.DeepEqual(app, defaultPayments()) {
		t.Errorf("Load failed but wrote %+v", app)
	}
}

func TestSectionIsValidatedAsAWhole(t *testing.T) {
	app := defaultPayments()
	app.Provider.URL = "" // required: there is no sensible default
	tree, err := config.Load(config.Section("payments", &app), config.Values(map[string]any{
		"payments": map[string]any{"small": 3, "ratio": -1},
	}))
	wantMistakes(t, tree, err,
		"payments.provider.url: must not be empty (default)",
		"payments.small: count must be at least small (3), got 0 (explicit value)",
		"payments: ratio: negative (explicit value)",
		"payments: also: unsupported operation (explicit value)",
	)
	if !errors.Is(err, errors.ErrUnsupported) {
		t.Error("the error of Validate is not in the tree of errors")
	}
}

func TestNumbersOfSections(t *testing.T) {
	for value, want := range map[any]uint64{"5": 5, 5: 5, 5.0: 5, uint64(1 << 63): 1 << 63, "18446744073709551615": 1<<64 - 1} {
		app := defaultPayments()
		load(t, config.Section("payments", &app), config.Values(map[string]any{"payments": map[string]any{"wide": value}}))
		if app.Wide != want {
			t.Errorf("%v (%T) is %d, want %d", value, value, app.Wide, want)
		}
	}
	for _, value := range []any{"-5", -5, 5.5, -5.0, 1e19, true} {
		app := defaultPayments()
		tree, err := config.Load(config.Section("payments", &app),
			config.Values(map[string]any{"payments": map[string]any{"wide": value}}))
		if got := mistakes(t, tree, err); len(got) != 1 ||
			!strings.HasPrefix(got[0], "payments.wide: want an integer from 0 to 18446744073709551615, got ") {
			t.Errorf("%v (%T): %q", value, value, got)
		}
	}
}

func TestManyKnownNamesAreNotAllListed(t *testing.T) {
	bases := map[string]any{}
	for i := range 30 {
		bases[fmt.Sprintf("base%02d", i)] = nil
	}
	tree, err := config.Load(config.Values(map[string]any{"resilience": map[string]any{"retry": map[string]any{
		"base": bases, "instances": map[string]any{"i": map[string]any{"extends": "quite another"}},
	}}}))
	got := mistakes(t, tree, err)
	if len(got) != 1 || !strings.Contains(got[0], "base15 and others") || strings.Contains(got[0], "base16") {
		t.Errorf("mistakes: %q", got)
	}
}

// pointerValidated has its Validate on the pointer, and changes itself there.
type pointerValidated struct {
	Name string `koanf:"name"`
}

func (p *pointerValidated) Validate() error {
	p.Name = "changed"
	return nil
}

func TestValidateCannotChangeTheSection(t *testing.T) {
	app := pointerValidated{Name: "a"}
	load(t, config.Section("app", &app))
	if app.Name != "a" {
		t.Errorf("name is %q", app.Name)
	}
}

func TestMisusedSection(t *testing.T) {
	type unusable struct {
		Channel chan int       `koanf:"channel"`
		Pointer []*int         `koanf:"pointer"`
		Keys    map[int]string `koanf:"keys"`
	}
	type recursive struct {
		Children []recursive          `koanf:"children"`
		Named    map[string]recursive `koanf:"named"`
	}
	var app payments
	tree, err := config.Load(
		config.Section("redis", &app), config.Section("", &app), config.Section("a", app), config.Section("b", nil),
		config.Section("c", (*payments)(nil)), config.Section("d", new(int)), config.Section("u", new(unusable)),
		config.Section("r", new(recursive)), config.Section("r", new(recursive)),
		config.Values(map[string]any{"r": map[string]any{"named": map[string]any{"x": map[string]any{"children": []any{nil}}}}}),
	)
	wantMistakes(t, tree, err,
		"redis: there is a section of that name already (config.Section)",
		"config.Section: a section needs a name",
		"a: must be read into a pointer to a struct, got config_test.payments (config.Section)",
		"b: must be read into a pointer to a struct, got <nil> (config.Section)",
		"c: must be read into a pointer to a struct, got *config_test.payments (config.Section)",
		"d: must be read into a pointer to a struct, got *int (config.Section)",
		"u.channel: a field of type chan int cannot be configured (config.Section)",
		"u.pointer: a field of type *int cannot be configured (config.Section)",
		"u.keys: a field of type map[int]string cannot be configured (config.Section)",
		"r: there is a section of that name already (config.Section)",
		"r.named.x.children[0]: want a table of keys, got nothing (explicit value)",
	)
}

func TestVariableCannotSetListOfTables(t *testing.T) {
	app := defaultPayments()
	tree, err := config.Load(config.Section("payments", &app), config.Env([]string{"STEADY_PAYMENTS__MIRRORS=a"}))
	wantMistakes(t, tree, err,
		"payments.mirrors: is not a list of values, which is what a variable can set; set it in a file (env STEADY_PAYMENTS__MIRRORS)")
}

// A value that may be a secret is in no error, whatever is wrong with it or with what is around it.
func TestSecretsStayOutOfErrors(t *testing.T) {
	const secret = "hunter2"
	files := map[string]string{
		"type.yaml":    "redis: {password: [hunter2]}\npostgres: {dsn: {hunter2: 1}}",
		"key.yaml":     "redis: {pasword: hunter2}",
		"table.yaml":   "postgres: postgres://u:hunter2@h/db",
		"addr.yaml":    "redis: {addrs: [\"redis://:hunter2@h:1\"]}",
		"anchor.yaml":  "redis: {password: *hunter2}",
		"tag.yaml":     "redis: {password: !!int hunter2}",
		"ticks.yaml":   "redis: {password: !!int \"hun`ter2hunter2\"}",
		"root.yaml":    "hunter2",
		"syntax.yaml":  "redis:\n  password: \"hunter2\n  db: 1",
		"escape.yaml":  "redis: {password: \"\\hunter2\"}",
		"syntax.json":  `{"redis": {"password": "hunter2" "x"}}`,
		"root.json":    `"hunter2"`,
		"syntax.toml":  "[redis]\npassword = hunter2",
		"quotes.toml":  "[redis]\npassword = \"hunter2",
		"section.yaml": "payments: {provider: {token: {a: hunter2}}}",
		"bool.yaml":    "redis: {password: true, addrs: [hunter2]}",
		"values.yaml":  "redis: {addrs: [a:1], db: -1, password: hunter2}",
	}
	inDir(t, files)
	for name := range files {
		app := defaultPayments()
		tree, err := config.Load(config.File(name), config.Section("payments", &app))
		if len(mistakes(t, tree, err)) == 0 {
			t.Errorf("%s: no mistake", name)
		} else if strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
