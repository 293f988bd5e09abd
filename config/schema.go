package config

import (
	_ "embed" // the sample file
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

//go:embed neurotriage.yaml
var sample []byte

// Sample is the sample file: every key with its default and what it does.
func Sample() []byte { return slices.Clone(sample) }

// Schema is the JSON Schema (draft 2020-12) of the configuration file. Its
// descriptions are the comments of the sample file.
func Schema() ([]byte, error) {
	comments, err := sampleComments()
	if err != nil {
		return nil, err
	}
	root := object("")
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["$id"] = "config.v1.json"
	root["title"] = "neurotriage configuration"
	defaults := Default()
	for _, k := range keys() {
		names := strings.Split(k.path, ".")
		section := root
		for i, name := range names[:len(names)-1] {
			section = child(section, name, func() map[string]any {
				return object(comments[strings.Join(names[:i+1], ".")])
			})
		}
		if k.fields != nil {
			child(section, names[len(names)-1], func() map[string]any { return k.tableSchema(comments) })
			continue
		}
		leaf := k.schema(&defaults)
		leaf["description"] = k.described(comments[k.path])
		child(section, names[len(names)-1], func() map[string]any { return leaf })
	}
	text, err := json.MarshalIndent(root, "", "  ")
	return append(text, '\n'), err
}

// described adds the bounds to what the sample says about the key.
func (k key) described(comment string) string {
	if bounds := k.bounds(); bounds != "" {
		return comment + " Allowed: " + bounds + "."
	}
	return comment
}

func object(description string) map[string]any {
	o := map[string]any{"type": "object", "additionalProperties": false, "properties": map[string]any{}}
	if description != "" {
		o["description"] = description
	}
	return o
}

// child finds a property, or makes it.
func child(parent map[string]any, name string, make func() map[string]any) map[string]any {
	properties := parent["properties"].(map[string]any)
	if properties[name] == nil {
		properties[name] = make()
	}
	return properties[name].(map[string]any)
}

// schema describes the values that the key takes in a file.
func (k key) schema(defaults *Config) map[string]any {
	return k.schemaOf(k.texts(defaults))
}

// schemaOf is the same with the texts of the default.
func (k key) schemaOf(texts []string) map[string]any {
	s := map[string]any{}
	switch k.typ {
	case typeString:
		maps.Copy(s, map[string]any{"type": "string", "default": texts[0]})
		k.addEnum(s)
	case typeBool:
		maps.Copy(s, map[string]any{"type": "boolean", "default": texts[0] == "true"})
	case typeInt:
		maps.Copy(s, map[string]any{"type": "integer", "default": json.Number(texts[0])})
		k.addBounds(s)
	case typeFloat:
		maps.Copy(s, map[string]any{"type": []string{"number", "null"}, "default": nil})
		k.addBounds(s)
	case typeDuration:
		maps.Copy(s, map[string]any{"type": "string", "default": texts[0], "pattern": durationPattern})
	case typeSize:
		maps.Copy(s, map[string]any{"type": []string{"string", "integer"}, "default": texts[0], "pattern": sizePattern, "minimum": 0})
	case typeTexts, typePrefixes:
		items := map[string]any{"type": "string"}
		k.addEnum(items)
		maps.Copy(s, map[string]any{"type": "array", "items": items, "default": texts})
	case typeMap:
		maps.Copy(s, map[string]any{
			"type": "object", "default": map[string]any{},
			"propertyNames":        map[string]any{"pattern": rootName.String()},
			"additionalProperties": map[string]any{"type": "string", "minLength": 1},
		})
	}
	return s
}

// The patterns of what parseDuration and parseSize take; the bounds beyond that
// stand in descriptions, since a schema cannot compare texts.
const (
	durationPattern = `^(0|([0-9]+(\.[0-9]*)?(d|h|m|s|ms|us|µs|ns))+)$`
	sizePattern     = `^[0-9]+(\.[0-9]+)? ?([KkMmGgTt]?[Ii]?[Bb])?$`
)

func (k key) addEnum(s map[string]any) {
	if k.enum != nil {
		s["enum"] = k.enum
	}
}

func (k key) addBounds(s map[string]any) {
	if k.min != "" {
		s["minimum"] = json.Number(k.min)
	}
	if k.max != "" {
		s["maximum"] = json.Number(k.max)
	}
}

// sampleComments gives the comment above each key and section of the sample.
func sampleComments() (map[string]string, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(sample, &document); err != nil {
		return nil, fmt.Errorf("read the sample configuration: %w", err)
	}
	comments := map[string]string{}
	var broken error
	var walk func(prefix string, node *yaml.Node)
	walk = func(prefix string, node *yaml.Node) {
		for i := 0; i+1 < len(node.Content); i += 2 {
			name, value := node.Content[i], node.Content[i+1]
			text, example := cutExample(name.HeadComment)
			comments[prefix+name.Value] = prose(text)
			if err := exampleComments(comments, prefix+name.Value, example); err != nil && broken == nil {
				broken = err
			}
			if value.Kind == yaml.MappingNode {
				walk(prefix+name.Value+".", value)
			}
		}
	}
	walk("", document.Content[0])
	return comments, broken
}

// prose makes one line of a comment, without its marks.
func prose(comment string) string {
	var words []string
	for line := range strings.Lines(comment) {
		words = append(words, strings.Fields(strings.TrimLeft(line, "#"))...)
	}
	return strings.Join(words, " ")
}
