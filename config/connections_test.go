package config_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/steadyfx/steady/config"
)

func TestConnectionsPrintWithoutSecrets(t *testing.T) {
	redis := config.DefaultRedis()
	redis.Username, redis.Password = "app", "hunter2"
	trees := []*config.Tree{config.Default(), config.Default()}
	trees[0].Redis = redis
	trees[1].Postgres.DSN = "postgres://app:hunter2@db:5432/app?sslpassword=hunter2"
	for _, tree := range trees {
		var log bytes.Buffer
		logger := slog.New(slog.NewJSONHandler(&log, nil))
		logger.Info("x", "redis", tree.Redis, "postgres", tree.Postgres, "tree", tree)
		j, err := json.Marshal(tree)
		if err != nil {
			t.Fatal(err)
		}
		for _, out := range []string{
			fmt.Sprint(tree.Redis, tree.Postgres), fmt.Sprintf("%+v %#v %s", tree, tree.Redis, tree.Redis),
			fmt.Sprintf("%#v %#v %q", tree.Postgres, *tree, tree.Postgres), string(j), log.String(),
		} {
			if strings.Contains(out, "hunter2") {
				t.Errorf("a secret is in %s", out)
			}
			if !strings.Contains(out, "localhost") && !strings.Contains(out, "db:5432") {
				t.Errorf("nothing useful is in %s", out)
			}
		}
	}
	if got, want := redis.String(), "{Addrs:[localhost:6379] Username:app Password:[redacted] DB:0 MasterName: TLS:false CheckOnStart:require CheckTimeout:2s}"; got != want {
		t.Errorf("String() = %s, want %s", got, want)
	}
}

func TestPostgresShowsOnlyHostAndDatabase(t *testing.T) {
	tests := []struct{ dsn, want string }{
		{"", ""},
		{"postgres://localhost/app", "postgres://localhost/app"},
		{"postgres://u:p4ss@db:5432/app?sslmode=disable&password=p4ss", "postgres://db:5432/app"},
		{"postgresql://u@db/app#p4ss", "postgresql://db/app"},
		{"host=db password=p4ss", "[redacted]"},
		{"postgres:p4ss", "[redacted]"},
		// Passwords that should have been escaped.
		{"postgres://u:p4/ss@db/app", "[redacted]"},
		{"postgres://u:4/p4ss@db/app", "[redacted]"},
		{"postgres://u:4?p4ss@db/app", "[redacted]"},
		{"postgres://u:4#p4ss@db/app", "[redacted]"},
		{"postgres://u:x@y/p4ss@db/app", "[redacted]"},
		{"postgres://u:%zz@db/p4ss", "[redacted]"},
	}
	for _, tt := range tests {
		p := config.Postgres{DSN: tt.dsn, Table: "keys"}
		if got, want := p.String(), "{DSN:"+tt.want+" Schema: Table:keys CheckOnStart: CheckTimeout:0s}"; got != want {
			t.Errorf("%s is shown as %s, want %s", tt.dsn, got, want)
		}
	}
}

func TestValidateOfConnections(t *testing.T) {
	if err := config.DefaultRedis().Validate(); err != nil {
		t.Errorf("the default of Redis: %v", err)
	}
	if err := config.DefaultPostgres().Validate(); err != nil {
		t.Errorf("the default of Postgres: %v", err)
	}
	sentinels := config.DefaultRedis()
	sentinels.Addrs, sentinels.MasterName, sentinels.DB = []string{"a:1", "[::1]:2"}, "m", 3
	if err := sentinels.Validate(); err != nil {
		t.Errorf("sentinels: %v", err)
	}
	zero := fmt.Sprint(config.Redis{Addrs: []string{"a", "a:", "http://b:1", "b:1/2"}, DB: -1}.Validate())
	var fields []string
	for line := range strings.Lines(zero) {
		field, _, _ := strings.Cut(line, ":")
		fields = append(fields, field)
	}
	want := []string{
		"addrs[0]", "addrs[1]", "addrs[2]", "addrs[3]", "db", "db", "check_on_start", "check_timeout",
	}
	if !reflect.DeepEqual(fields, want) {
		t.Errorf("wrong are %q, want %q", fields, want)
	}
}

func TestPostgresIsCompletedAndChecked(t *testing.T) {
	if got := (config.Postgres{}).WithDefaults(); got != config.DefaultPostgres() {
		t.Errorf("got %v", got)
	}
	whole := config.Postgres{
		DSN: "postgres://db/app", Schema: "s", Table: "t", CheckOnStart: config.CheckOff, CheckTimeout: time.Second,
	}
	if got := whole.WithDefaults(); got != whole {
		t.Errorf("got %v, want %v", got, whole)
	}
	for field, wrong := range map[string]config.Postgres{
		"dsn":            {CheckOnStart: config.CheckWarn, CheckTimeout: 1},
		"check_on_start": {DSN: "postgres://u:p4ss@db/app", CheckOnStart: "never", CheckTimeout: 1},
		"check_timeout":  {DSN: "postgres://u:p4ss@db/app", CheckOnStart: config.CheckWarn},
	} {
		err := fmt.Sprint(wrong.Validate())
		if !strings.HasPrefix(err, field+": ") || strings.Contains(err, "\n") || strings.Contains(err, "p4ss") {
			t.Errorf("of %s it is said: %s", field, err)
		}
	}
}

func TestPasswordThatShouldHaveBeenEscapedIsAMistake(t *testing.T) {
	for dsn, mistake := range map[string]bool{
		"postgres://u:p4ss@db:5432/app?sslmode=disable":  false,
		"postgresql://u:p%404ss%2F@db,db2:5432/app":      false,
		"postgres:///app?host=/run/postgresql":           false,
		"postgres://db/app":                              false,
		"postgres://u:4?p4ss#@db/app":                    false, // as libpq reads it
		"host=db user=u@tenant password=p@ss dbname=app": false,
		"postgres://u:p@4ss@db/app":                      true,
		"postgresql://u:p@4ss@db/app":                    true,
		"postgres://u:4/p4ss@db/app":                     true,
		"postgres://u:4/p?4=ss@db/app":                   true,
		"postgres://db/app?application_name=a@b":         true,
	} {
		p := config.DefaultPostgres()
		p.DSN = dsn
		err := p.Validate()
		if (err != nil) != mistake {
			t.Errorf("%s: got %v", dsn, err)
		}
		if mistake && (!strings.Contains(err.Error(), "@ as %40 and / as %2F") || strings.Contains(err.Error(), "4ss")) {
			t.Errorf("%s: got %v", dsn, err)
		}
	}
}

func TestPostgresComesFromEverySource(t *testing.T) {
	tree, err := config.Load(
		config.Content("app.yaml", []byte("postgres: {dsn: postgres://db/app, schema: money, check_timeout: 5}")),
		config.Env([]string{"STEADY_POSTGRES__TABLE=keys", "STEADY_POSTGRES__CHECK_ON_START=warn"}))
	want := config.Postgres{
		DSN: "postgres://db/app", Schema: "money", Table: "keys", CheckOnStart: config.CheckWarn, CheckTimeout: 5 * time.Second,
	}
	if err != nil || tree.Postgres != want {
		t.Errorf("got %v, %v", tree, err)
	}
	_, err = config.Load(config.Content("app.yaml", []byte("postgres: {dsn: \"\", check_on_start: no, tabel: keys}")))
	for _, want := range []string{
		"postgres.dsn: must not be empty (app.yaml:1)", "postgres.check_on_start: ", `did you mean "table"?`,
	} {
		if !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%q is missing in %v", want, err)
		}
	}
}
