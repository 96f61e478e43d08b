package config

import (
	"strconv"
	"strings"
)

// path leads to a value: the keys and the positions in lists on the way, joined by bytes that no key may hold, because
// names may hold dots. The empty path is the whole tree.
type path string

const (
	separator = "\x00" // before a key
	position  = "\x01" // before a position in a list
)

func (p path) child(key string) path {
	if p == "" {
		return path(key)
	}
	return p + separator + path(key)
}

func (p path) item(i int) path { return p + position + path(strconv.Itoa(i)) }

// field follows what a [patterns.FieldError] calls a field, such as "addrs[0]" or "provider.url".
func (p path) field(name string) path {
	if name == "" {
		return p
	}
	return p.child(strings.NewReplacer(".", separator, "[", position, "]", "").Replace(name))
}

// key returns the path of the value that has a key of its own: for what is in a list, that of the list.
func (p path) key() path {
	list, _, _ := strings.Cut(string(p), position)
	return path(list)
}

// String returns p as messages show it and as callers of [Tree.Source] spell it.
func (p path) String() string {
	var b strings.Builder
	for i, key := range strings.Split(string(p), separator) {
		if i > 0 {
			b.WriteByte('.')
		}
		for j, part := range strings.Split(key, position) {
			if j > 0 {
				part = "[" + part + "]"
			}
			b.WriteString(part)
		}
	}
	return b.String()
}
