package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
)

// Source is an argument of [Load]: a source of values, or with [Section] the place for some of them.
type Source func(*loader)

// File is a source: a file in YAML (.yaml, .yml), TOML (.toml) or JSON (.json) of at most 1 MiB. That it does not
// exist is an error.
func File(name string) Source {
	return func(l *loader) { l.file(name, false) }
}

// OptionalFile is [File] for a file that need not exist.
func OptionalFile(name string) Source {
	return func(l *loader) { l.file(name, true) }
}

// Content is [File] for content that the program holds, for example by go:embed. The name stands for it in errors, and
// says the format.
func Content(name string, content []byte) Source {
	return func(l *loader) { l.content(name, content) }
}

// Env is a source: variables in the form "NAME=value", those of the process if environ is nil. STEADY_REDIS__ADDRS
// sets redis.addrs: the prefix STEADY_, then the keys, joined by two underscores. A name (of an instance, a base, a
// pipeline) must be in a file or an explicit value too, and is found without regard to case and punctuation; that
// no key, no name or several names fit is an error. A list is separated by commas.
//
// A variable without two underscores that is not a section is ignored, because Kubernetes sets STEADY_PORT and
// STEADY_SERVICE_HOST for a service called steady. [Tree.Ignored] lists them.
func Env(environ []string) Source {
	return func(l *loader) {
		if environ == nil {
			environ = os.Environ()
		}
		l.layers = append(l.layers, layer{variables: variables(environ)})
	}
}

// Values is a source: nested maps, with what Go or a file would write as values. A number where a duration is wanted
// is seconds; a time.Duration is taken as it is.
func Values(values map[string]any) Source {
	return func(l *loader) { l.values(values, "explicit value", nil) }
}

// Section makes a top-level section that belongs to the application part of the tree. out is a pointer to a struct
// with koanf tags that holds the defaults; fields without a tag are not for configuration, and a field tagged
// `secret:"true"` is not shown in errors. If *out has a method Validate() error it is called, and each
// [patterns.FieldError] in its error is reported at its field. Load writes to out only if it succeeds.
func Section(name string, out any) Source {
	return func(l *loader) {
		v := reflect.ValueOf(out)
		problem := ""
		switch {
		case name == "":
			problem = "a section needs a name"
		case l.schema.keys[name] != nil:
			problem = "there is a section of that name already"
		case v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct:
			problem = fmt.Sprintf("must be read into a pointer to a struct, got %T", out)
		}
		if problem != "" {
			l.errs = append(l.errs, &Error{Path: name, Source: sectionSource, Problem: problem})
			return
		}
		s, problems := shapeOf(v.Type().Elem(), path(name))
		l.errs = append(l.errs, problems...)
		l.schema.keys[name] = s
		l.sections = append(l.sections, section{name: name, out: v.Elem()})
	}
}

// sectionSource stands for the program, where it is a call of Section that is wrong.
const sectionSource = "config.Section"

const maxFileSize = 1 << 20

func (l *loader) file(name string, optional bool) {
	content, err := readFile(name)
	if optional && errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil {
		var pathErr *fs.PathError
		problem := err.Error()
		if errors.As(err, &pathErr) { // which names the file once more
			problem = pathErr.Op + ": " + pathErr.Err.Error()
		}
		l.unreadable(&Error{Source: name, Problem: problem, cause: err})
		return
	}
	l.content(name, content)
}

func (l *loader) content(name string, content []byte) {
	values, lines, errs := parse(name, content)
	if len(errs) > 0 {
		l.unreadable(errs...)
		return
	}
	l.values(values, name, lines)
}

func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // nothing was written
	content, err := io.ReadAll(io.LimitReader(f, maxFileSize+1))
	if err == nil && len(content) > maxFileSize {
		err = fmt.Errorf("larger than %d bytes", maxFileSize)
	}
	return content, err
}

func (l *loader) values(values map[string]any, source string, lines map[path]int) {
	c := cleaner{source: source, lines: lines, origins: map[path]origin{}}
	cleaned, _ := c.clean(values, "", 0).(map[string]any)
	if len(c.errs) > 0 {
		l.unreadable(c.errs...)
		return
	}
	l.layers = append(l.layers, layer{values: cleaned, origins: c.origins})
}

func (l *loader) unreadable(errs ...*Error) {
	l.partial = true
	for _, err := range errs {
		l.errs = append(l.errs, err)
	}
}

// format returns what the name of a file says about its content: ".yaml", ".toml" or ".json" or, if it is none of
// these, the extension as it is.
func format(name string) string {
	extension := strings.ToLower(filepath.Ext(name))
	if extension == ".yml" {
		return ".yaml"
	}
	return extension
}
