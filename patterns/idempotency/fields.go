package idempotency

import (
	"net/http"
	"slices"
)

// fields are a copy of a header, which costs less than another map.
type fields []field

type field struct {
	name   string
	values []string
}

// fieldsOf copies header.
func fieldsOf(header http.Header) fields {
	if len(header) == 0 {
		return nil
	}
	copied, all := make(fields, 0, len(header)), make([]string, 0, len(header)) // most have one value
	for name, values := range header {
		first := len(all)
		all = append(all, values...)
		copied = append(copied, field{name, slices.Clip(all[first:])})
	}
	return copied
}

// equal reports whether header is what was copied.
func (f fields) equal(header http.Header) bool {
	if len(f) != len(header) {
		return false
	}
	for _, field := range f {
		if values, ok := header[field.name]; !ok || !slices.Equal(values, field.values) {
			return false
		}
	}
	return true
}

// changed returns the part of header that is not what was copied.
func (f fields) changed(header http.Header) http.Header {
	changed := http.Header{}
	for name, values := range header {
		i := slices.IndexFunc(f, func(field field) bool { return field.name == name })
		if i < 0 || !slices.Equal(values, f[i].values) {
			changed[name] = values
		}
	}
	return changed
}

// restore makes header what was copied.
func (f fields) restore(header http.Header) {
	clear(header)
	for _, field := range f {
		header[field.name] = field.values
	}
}

// first is http.Header.Get for a name that is canonical.
func first(header http.Header, name string) string {
	if values := header[name]; len(values) > 0 {
		return values[0]
	}
	return ""
}
