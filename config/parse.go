package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	koanfjson "github.com/knadh/koanf/parsers/json"
	"github.com/knadh/koanf/parsers/toml/v2"
	koanfyaml "github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/v2"
	"go.yaml.in/yaml/v3"
)

// Limits that no configuration written by people meets, and that keep one written by an attacker harmless.
const (
	maxDepth  = 32
	maxValues = 100_000 // in a YAML file, an alias counted as what it stands for
)

// parse returns the values of a file and, for YAML and JSON, the lines of their keys. The parsers let pass what an
// [inspector] does not.
func parse(name string, content []byte) (map[string]any, map[path]int, []*Error) {
	in := inspector{source: name, lines: map[path]int{}}
	var parser koanf.Parser
	switch format(name) {
	case ".yaml":
		in.yaml(content)
		parser = koanfyaml.Parser()
	case ".json":
		in.json(content)
		parser = koanfjson.Parser()
	case ".toml":
		parser = toml.Parser()
	default:
		in.fail("", 0, "unknown kind of file; known: .yaml, .yml, .toml, .json")
	}
	if len(in.errs) > 0 {
		return nil, nil, in.errs
	}
	values, err := parser.Unmarshal(content)
	if err != nil {
		in.syntax(err, content)
	}
	return values, in.lines, in.errs
}

// inspector looks for what parsers accept although its author cannot have meant it: keys that are written twice,
// further YAML documents, keys that are not text. It also notes the lines.
type inspector struct {
	source string
	lines  map[path]int
	values int
	errs   []*Error
}

func (in *inspector) fail(at path, line int, problem string, args ...any) {
	in.errs = append(in.errs,
		&Error{Path: at.String(), Source: in.source, Line: line, Problem: fmt.Sprintf(problem, args...)})
}

// key notes the line of a key, and reports whether it is the first of that name.
func (in *inspector) key(at path, line int, seen map[path]int) bool {
	if first, twice := seen[at]; twice {
		in.fail(at, line, "is set twice, first in line %d", first)
		return false
	}
	seen[at] = line
	if _, known := in.lines[at]; !known {
		in.lines[at] = line
	}
	return true
}

func (in *inspector) tooDeep(at path, line, depth int) bool {
	if depth > maxDepth {
		in.fail(at, line, "nested deeper than %d levels", maxDepth)
	}
	return depth > maxDepth
}

func (in *inspector) yaml(content []byte) {
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	var document, second yaml.Node
	err := decoder.Decode(&document)
	if errors.Is(err, io.EOF) {
		return // nothing, or nothing but comments
	}
	if err != nil {
		in.syntax(err, content)
		return
	}
	if err := decoder.Decode(&second); err == nil {
		in.fail("", second.Line, "a second document; a file holds one")
		return
	} else if !errors.Is(err, io.EOF) {
		in.syntax(err, content)
		return
	}
	root := document.Content[0]
	if root.ShortTag() == "!!null" {
		return
	}
	if root.Kind != yaml.MappingNode {
		in.fail("", root.Line, "must be a table of keys at the top level")
		return
	}
	in.yamlValue(root, "", 0)
}

func (in *inspector) yamlValue(node *yaml.Node, at path, depth int) {
	if in.values++; in.values > maxValues {
		if in.values == maxValues+1 {
			in.fail(at, node.Line, "too many aliases: with them the file holds more than %d values", maxValues)
		}
		return
	}
	if in.tooDeep(at, node.Line, depth) {
		return
	}
	switch node.Kind {
	case yaml.AliasNode:
		in.yamlValue(node.Alias, at, depth+1)
	case yaml.SequenceNode:
		for i, item := range node.Content {
			in.lines[at.item(i)] = item.Line
			in.yamlValue(item, at.item(i), depth+1)
		}
	case yaml.MappingNode:
		in.yamlTable(node, at, depth)
	case yaml.ScalarNode, yaml.DocumentNode: // has nothing below it; is not below anything
	}
}

func (in *inspector) yamlTable(node *yaml.Node, at path, depth int) {
	seen := map[path]int{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key := node.Content[i]
		switch key.ShortTag() {
		case "!!str":
			if p := at.child(key.Value); in.key(p, key.Line, seen) {
				in.yamlValue(node.Content[i+1], p, depth+1)
			}
		case "!!merge":
		default:
			in.fail(at, key.Line, "a key must be text; put it in quotes")
		}
	}
	// What is merged in comes last, because the table's own keys and their lines win.
	for i := 0; i+1 < len(node.Content); i += 2 {
		if node.Content[i].ShortTag() == "!!merge" {
			in.yamlMerge(node.Content[i+1], at, depth+1)
		}
	}
}

// yamlMerge inspects the value of a "<<" key: a table or a list of tables, which become part of the table at a path.
func (in *inspector) yamlMerge(node *yaml.Node, at path, depth int) {
	if node.Kind != yaml.SequenceNode {
		in.yamlValue(node, at, depth)
		return
	}
	for _, table := range node.Content {
		in.yamlValue(table, at, depth)
	}
}

func (in *inspector) json(content []byte) {
	reader := jsonReader{Decoder: json.NewDecoder(bytes.NewReader(content)), content: content, line: 1}
	in.jsonValue(&reader, "", 0)
}

// jsonValue inspects the next value. It stops at what is not JSON, which the parser reports better.
func (in *inspector) jsonValue(r *jsonReader, at path, depth int) bool {
	token, err := r.Token()
	if err != nil {
		return false
	}
	if delimiter, _ := token.(json.Delim); at == "" && delimiter != '{' && token != nil {
		in.fail("", r.position(), "must be a table of keys at the top level")
		return false
	} else if delimiter == 0 {
		return true
	} else if in.tooDeep(at, r.position(), depth) {
		return false
	} else if delimiter == '{' {
		return in.jsonTable(r, at, depth)
	}
	for i := 0; r.More(); i++ {
		if !in.jsonValue(r, at.item(i), depth+1) {
			return false
		}
	}
	_, err = r.Token()
	return err == nil
}

func (in *inspector) jsonTable(r *jsonReader, at path, depth int) bool {
	seen := map[path]int{}
	for r.More() {
		token, err := r.Token()
		if err != nil {
			return false
		}
		key, _ := token.(string)
		in.key(at.child(key), r.position(), seen)
		if !in.jsonValue(r, at.child(key), depth+1) {
			return false
		}
	}
	_, err := r.Token()
	return err == nil
}

// jsonReader knows the line it has come to.
type jsonReader struct {
	*json.Decoder
	content []byte
	line    int
	counted int64
}

func (r *jsonReader) position() int {
	offset := r.InputOffset()
	r.line += bytes.Count(r.content[r.counted:offset], []byte("\n"))
	r.counted = offset
	return r.line
}

// syntax reports the error of a parser, with its line if it has one.
func (in *inspector) syntax(err error, content []byte) {
	line := 0
	var tomlError interface{ Position() (row, column int) }
	var jsonError *json.SyntaxError
	message := strings.TrimPrefix(err.Error(), "yaml: ")
	switch {
	case errors.As(err, &tomlError):
		line, _ = tomlError.Position()
	case errors.As(err, &jsonError):
		line = 1 + bytes.Count(content[:min(jsonError.Offset, int64(len(content)))], []byte("\n"))
	default:
		if n, _ := fmt.Sscanf(message, "line %d:", &line); n == 1 {
			message = strings.TrimSpace(message[strings.Index(message, ":")+1:])
		}
	}
	in.fail("", line, "cannot be parsed: %s", quoted.ReplaceAllString(strings.TrimPrefix(message, "toml: "), "…"))
}

// quoted matches what parsers quote from the file: it can be part of a password.
var quoted = regexp.MustCompile("(?s)`.*`|'.*'|\".*\"")
