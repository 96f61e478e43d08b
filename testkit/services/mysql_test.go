package services

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
)

func TestDSNSaysWhatTheURLSays(t *testing.T) {
	for address, want := range map[string]string{
		"mysql://u:p@127.0.0.1:3306/app":                         "u:p@tcp(127.0.0.1:3306)/app",
		"mysql://u@db.internal/app":                              "u@tcp(db.internal:3306)/app",
		"mysql://127.0.0.1:3306":                                 "tcp(127.0.0.1:3306)/",
		"mysql://u:p%40%3A%2F@[::1]:3306/app":                    "u:p@:/@tcp([::1]:3306)/app",
		"mysql://u:p@h:1/app?parseTime=true&time_zone=%27UTC%27": "u:p@tcp(h:1)/app?parseTime=true&time_zone=%27UTC%27",
	} {
		dsn, err := MySQLDSN(address)
		if err != nil {
			t.Errorf("%s: %v", address, err)
			continue
		}
		got, err := mysql.ParseDSN(dsn)
		if err != nil {
			t.Errorf("%s: %v", dsn, err)
			continue
		}
		expected, err := mysql.ParseDSN(want)
		if err != nil {
			t.Fatal(err)
		}
		if got.FormatDSN() != expected.FormatDSN() {
			t.Errorf("%s: got %s, want %s", address, got.FormatDSN(), expected.FormatDSN())
		}
	}
	for _, address := range []string{"", "u:secret@tcp(h:1)/app", "postgres://u:secret@h/app", "mysql:///app", "mysql://u:secret@h:x/"} {
		if _, err := MySQLDSN(address); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: got error %v, want one without the password", address, err)
		}
	}
}

func TestProgramsOfMariaDBAreFoundOffThePath(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	debian := t.TempDir()
	if _, err := lookUp("mariadbd", debian); !errors.Is(err, ErrNotInstalled) {
		t.Errorf("nothing installed: %v, want %v", err, ErrNotInstalled)
	}
	program := filepath.Join(debian, "mariadbd")
	if err := os.WriteFile(program, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	if got, err := lookUp("mariadbd", debian); err != nil || got != program {
		t.Errorf("got %s, %v; want %s", got, err, program)
	}
	t.Setenv("PATH", debian)
	if got, err := lookUp("mariadbd", t.TempDir()); err != nil || got != program {
		t.Errorf("got %s, %v; want that of PATH, %s", got, err, program)
	}
}
