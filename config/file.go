package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// entry is one setting found in the file.
type entry struct {
	key    key
	texts  []string // as written, before YAML guesses types
	origin string   // file:line
}

// readFile finds the settings of a YAML document. It works on nodes, since they
// keep lines, the case of keys and the text of values.
func readFile(name string, data []byte, all []key, faults *complaints) []entry {
	var document yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	switch err := decoder.Decode(&document); {
	case errors.Is(err, io.EOF): // nothing but comments
		return nil
	case err != nil:
		faults.add(name, "", "", "not YAML: %v", err)
		return nil
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		faults.add(name, "", "", "allowed is one YAML document; what follows the second --- would be passed over")
	}
	reader := fileReader{name: name, all: all, faults: faults}
	reader.section("", document.Content[0])
	return reader.entries
}

type fileReader struct {
	name    string
	all     []key
	entries []entry
	faults  *complaints
}

// section reads the mapping that stands below prefix ("", "nats.", …).
func (r *fileReader) section(prefix string, node *yaml.Node) {
	if node.Kind == yaml.ScalarNode && node.Tag == "!!null" {
		return // a section whose keys are all commented out
	}
	if node.Kind != yaml.MappingNode {
		r.complain(node, strings.TrimSuffix(prefix, "."), "a section, that is keys with their values indented below")
		return
	}
	seen := map[string]bool{}
	for i := 0; i < len(node.Content); i += 2 {
		name, value := node.Content[i], node.Content[i+1]
		path := prefix + name.Value
		if seen[name.Value] {
			r.faults.add(path, "", r.origin(name), "stands twice in its section")
			continue
		}
		seen[name.Value] = true
		r.pair(path, name, value)
	}
}

func (r *fileReader) pair(path string, name, value *yaml.Node) {
	known := func(k key) bool { return k.path == path }
	below := func(k key) bool { return strings.HasPrefix(k.path, path+".") }
	switch at := slices.IndexFunc(r.all, known); {
	case at >= 0 && r.all[at].fields != nil:
		r.table(r.all[at], value)
	case at >= 0:
		r.value(r.all[at], value)
	case slices.ContainsFunc(r.all, below):
		r.section(path+".", value)
	default:
		r.faults.add(path, "", r.origin(name), "unknown key%s", didYouMean(path, r.names()))
	}
}

// names are all keys and sections, for suggestions.
func (r *fileReader) names() []string {
	var names []string
	for _, k := range r.all {
		if section, _, ok := cutLast(k.path); ok && !slices.Contains(names, section) {
			names = append(names, section)
		}
		names = append(names, k.path)
	}
	return names
}

func cutLast(path string) (before, after string, found bool) {
	if at := strings.LastIndexByte(path, '.'); at >= 0 {
		return path[:at], path[at+1:], true
	}
	return path, "", false
}

func (r *fileReader) value(k key, node *yaml.Node) {
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	if texts, ok := r.texts(k, node); ok {
		r.entries = append(r.entries, entry{key: k, texts: texts, origin: r.origin(node)})
	}
}

// texts gives the texts of a value in the shape that its key wants.
func (r *fileReader) texts(k key, node *yaml.Node) ([]string, bool) {
	null := node.Kind == yaml.ScalarNode && node.Tag == "!!null"
	switch {
	case k.isList() && null:
		return []string{}, true
	case k.typ == typeMap:
		return r.pairs(k, node)
	case k.isList():
		return r.list(k, node)
	case null:
		return []string{""}, true
	case node.Kind == yaml.ScalarNode:
		return []string{node.Value}, true
	}
	r.complain(node, k.path, "a single value")
	return nil, false
}

func (r *fileReader) list(k key, node *yaml.Node) ([]string, bool) {
	if node.Kind != yaml.SequenceNode {
		r.complain(node, k.path, `a list such as ["a", "b"]`)
		return nil, false
	}
	texts := make([]string, 0, len(node.Content))
	for _, element := range node.Content {
		if element.Kind != yaml.ScalarNode {
			r.complain(element, k.path, "a list of single values")
			return nil, false
		}
		texts = append(texts, element.Value)
	}
	return texts, true
}

func (r *fileReader) pairs(k key, node *yaml.Node) ([]string, bool) {
	if node.Kind != yaml.MappingNode {
		r.complain(node, k.path, `names with their values, such as {incoming: /srv/dicom}`)
		return nil, false
	}
	texts := make([]string, 0, len(node.Content)/2)
	for i := 0; i < len(node.Content); i += 2 {
		name, value := node.Content[i], node.Content[i+1]
		if value.Kind != yaml.ScalarNode || strings.Contains(name.Value, "=") {
			r.complain(value, k.path+"."+name.Value, "a name without = and a single value")
			return nil, false
		}
		texts = append(texts, name.Value+"="+value.Value)
	}
	return texts, true
}

func (r *fileReader) complain(node *yaml.Node, key, allowed string) {
	value := node.Value
	switch node.Kind {
	case yaml.MappingNode:
		value = "a section"
	case yaml.SequenceNode:
		value = "a list"
	case yaml.AliasNode:
		value = "an alias"
	}
	r.faults.add(key, value, r.origin(node), "allowed is %s", allowed)
}

func (r *fileReader) origin(node *yaml.Node) string {
	return fmt.Sprintf("%s:%d", r.name, node.Line)
}
