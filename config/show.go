package config

import (
	"strings"

	"go.yaml.in/yaml/v3"
)

// Show writes the configuration as YAML: every key, secrets masked, and beside
// each value that is not the default where it comes from. What it writes can be
// loaded again, save for the secrets.
func (c Config) Show() (string, error) {
	root := &yaml.Node{Kind: yaml.MappingNode}
	for _, k := range c.keys() {
		section := root
		names := strings.Split(k.path, ".")
		for _, name := range names[:len(names)-1] {
			section = sectionOf(section, name)
		}
		if k.fields != nil {
			for _, name := range append([]string{""}, k.entryNames(&c)...) {
				table := sectionOf(section, names[len(names)-1])
				if name != "" { // entries without a field, too
					sectionOf(table, name)
				}
			}
			continue
		}
		value := k.node(&c)
		comment := ""
		if origin := c.Origin(k.path); origin != originDefault {
			comment = origin
		}
		name := scalar(names[len(names)-1], "!!str")
		if value.Kind == yaml.MappingNode && len(value.Content) > 0 {
			name.HeadComment = comment // beside a block it would slip to its first line
		} else {
			value.LineComment = comment
		}
		section.Content = append(section.Content, name, value)
	}
	var text strings.Builder
	encoder := yaml.NewEncoder(&text)
	encoder.SetIndent(2)
	if err := encoder.Encode(root); err != nil {
		return "", err
	}
	return text.String(), encoder.Close()
}

// sectionOf finds the mapping below name, or makes it.
func sectionOf(parent *yaml.Node, name string) *yaml.Node {
	for i := 0; i < len(parent.Content); i += 2 {
		if parent.Content[i].Value == name {
			return parent.Content[i+1]
		}
	}
	section := &yaml.Node{Kind: yaml.MappingNode}
	parent.Content = append(parent.Content, scalar(name, "!!str"), section)
	return section
}

func scalar(text, tag string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: text}
}

// node is the key's value as YAML.
func (k key) node(c *Config) *yaml.Node {
	texts := k.texts(c)
	switch k.typ {
	case typeMap:
		node := &yaml.Node{Kind: yaml.MappingNode}
		for _, pair := range texts {
			name, value, _ := strings.Cut(pair, "=")
			node.Content = append(node.Content, scalar(name, "!!str"), scalar(value, "!!str"))
		}
		return node
	case typeTexts, typePrefixes:
		node := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
		for _, text := range texts {
			node.Content = append(node.Content, scalar(text, "!!str"))
		}
		return node
	}
	text, tag := k.mask(texts[0]), "!!str"
	switch {
	case k.typ == typeBool:
		tag = "!!bool"
	case k.typ == typeInt:
		tag = "!!int"
	case k.typ == typeFloat && text == "":
		text, tag = "null", "!!null"
	case k.typ == typeFloat:
		tag = "!!float"
	}
	return scalar(text, tag)
}
