package config

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A table is a map from names that the user chooses to structs, such as
// pacs.receive.sources: each entry has the fields of the struct, and a field
// that is not set has the default of its tag. Names are small letters, digits,
// dashes and underscores: they become names on NATS, of metrics and of folders,
// and viper cannot change their case or split them. Fields cannot be live.
var entryName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,31}$`)

const entryNameAllowed = "a name of small letters, digits, dashes and underscores, at most 32, that begins with a letter or digit"

func isTable(typ reflect.Type) bool {
	return typ.Kind() == reflect.Map && typ.Elem().Kind() == reflect.Struct
}

// entry is the key of a field of one of the table's entries.
func (k key) entry(name string, field key) key {
	field.path = k.path + "." + name + "." + field.path
	field.name, field.inner, field.index = name, field.index, k.index
	if field.live || field.fields != nil {
		panic("config: " + field.path + ": neither live nor a table fits into a table") // a slip of ours, seen by every test
	}
	return field
}

// entries are the keys of all fields of one entry.
func (k key) entries(name string) []key {
	all := make([]key, len(k.fields))
	for i, field := range k.fields {
		all[i] = k.entry(name, field)
	}
	return all
}

// entryNames are the names of the table's entries, sorted.
func (k key) entryNames(c *Config) []string {
	names := []string{}
	for _, name := range k.get(c).MapKeys() {
		names = append(names, name.String())
	}
	slices.Sort(names)
	return names
}

func checkEntryNames(names []string) error {
	for _, name := range names {
		if !entryName.MatchString(name) {
			return fmt.Errorf("%s, not %q", entryNameAllowed, name)
		}
	}
	return nil
}

// inside reports whether c has the entry that the key belongs to.
func (k key) inside(c *Config) bool {
	return reflect.ValueOf(c).Elem().FieldByIndex(k.index).MapIndex(reflect.ValueOf(k.name)).IsValid()
}

// keys lists every setting that c has, in the order of the struct: as the
// function keys does, with those of the entries behind each table.
func (c *Config) keys() []key {
	var all []key
	for _, k := range keys() {
		all = append(all, k)
		if k.fields == nil {
			continue
		}
		for _, name := range k.entryNames(c) {
			all = append(all, k.entries(name)...)
		}
	}
	return all
}

// noNilTables makes empty tables what Default has: not nil.
func (c *Config) noNilTables() {
	for _, k := range keys() {
		if value := k.get(c); k.fields != nil && value.IsNil() {
			value.Set(reflect.MakeMap(value.Type()))
		}
	}
}

// declare makes an entry known to all layers, with the defaults of its fields.
func (l *layering) declare(table key, name, origin string) {
	for _, k := range table.entries(name) {
		if slices.ContainsFunc(l.all, func(known key) bool { return known.path == k.path }) {
			continue
		}
		value, err := k.parse(k.initialTexts())
		if err != nil {
			panic("config: default of " + k.path + ": " + err.Error()) // a slip of ours, seen by every test
		}
		l.viper.SetDefault(k.path, value)
		l.all = append(l.all, k)
	}
	if _, known := l.origins[table.path]; !known {
		l.origins[table.path] = origin
	}
}

// initialTexts are the texts of the default in the key's tag, or those of the
// empty value.
func (k key) initialTexts() []string {
	switch {
	case k.isList() && k.initial == "":
		return []string{}
	case k.isList():
		return strings.Split(k.initial, "|")
	case k.initial != "":
		return []string{k.initial}
	}
	switch k.typ {
	case typeBool:
		return []string{"false"}
	case typeInt, typeDuration, typeSize:
		return []string{"0"}
	}
	return []string{""}
}

// declareVariables finds the entries that variables of the environment name. A
// variable has no dots and no small letters, so the longest field that it ends
// with counts, and a name that the file uses goes before a new one.
func (l *layering) declareVariables(env map[string]string) {
	for _, variable := range slices.Sorted(maps.Keys(env)) {
		taken := func(k key) bool { return k.variable() == variable }
		if !ours(variable) || slices.ContainsFunc(l.all, taken) {
			continue
		}
		if table, name, ok := l.entryOfVariable(variable); ok {
			l.declare(table, name, "environment "+variable)
		}
	}
}

func (l *layering) entryOfVariable(variable string) (table key, name string, ok bool) {
	longest := 0
	for _, k := range l.all {
		rest, below := strings.CutPrefix(variable, k.variable()+"_")
		for _, field := range k.fields {
			suffix := "_" + strings.ToUpper(strings.ReplaceAll(field.path, ".", "_"))
			before, found := strings.CutSuffix(rest, suffix)
			if !below || !found || len(suffix) <= longest || !entryName.MatchString(strings.ToLower(before)) {
				continue
			}
			table, name, ok, longest = k, strings.ToLower(before), true, len(suffix)
		}
	}
	return table, name, ok
}

// declareFlags finds the entries that flags name.
func (l *layering) declareFlags(flags map[string]string) {
	for _, flag := range slices.Sorted(maps.Keys(flags)) {
		for _, table := range keys() {
			rest, below := strings.CutPrefix(flag, table.path+".")
			name, path, found := strings.Cut(rest, ".")
			known := func(field key) bool { return field.path == path }
			if below && found && entryName.MatchString(name) && slices.ContainsFunc(table.fields, known) {
				l.declare(table, name, originFlag)
			}
		}
	}
}

// table reads the entries of a table from the file.
func (r *fileReader) table(k key, node *yaml.Node) {
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	if node.Kind == yaml.ScalarNode && node.Tag == "!!null" {
		return
	}
	if node.Kind != yaml.MappingNode {
		r.complain(node, k.path, "names with their keys indented below")
		return
	}
	seen := map[string]bool{}
	for i := 0; i < len(node.Content); i += 2 {
		name, value := node.Content[i], node.Content[i+1]
		path := k.path + "." + name.Value
		switch {
		case !entryName.MatchString(name.Value):
			r.faults.add(path, "", r.origin(name), "allowed is %s", entryNameAllowed)
			continue
		case seen[name.Value]:
			r.faults.add(path, "", r.origin(name), "stands twice in its section")
			continue
		}
		seen[name.Value] = true
		if value.Kind == yaml.AliasNode {
			value = value.Alias
		}
		if value.Kind == yaml.MappingNode || value.Tag == "!!null" {
			r.all = append(r.all, k.entries(name.Value)...)
			r.entries = append(r.entries, entry{key: k, texts: []string{name.Value}, origin: r.origin(name)})
		}
		r.section(path+".", value)
	}
}

// tableSchema describes the table in the file.
func (k key) tableSchema(comments map[string]string) map[string]any {
	fields := object("")
	for _, field := range k.fields {
		section := fields
		names := strings.Split(field.path, ".")
		for i, name := range names[:len(names)-1] {
			section = child(section, name, func() map[string]any {
				return object(comments[k.path+".*."+strings.Join(names[:i+1], ".")])
			})
		}
		leaf := field.schemaOf(field.initialTexts())
		leaf["description"] = field.described(comments[k.path+".*."+field.path])
		child(section, names[len(names)-1], func() map[string]any { return leaf })
	}
	return map[string]any{
		"type": "object", "default": map[string]any{}, "description": comments[k.path],
		"propertyNames":        map[string]any{"pattern": entryName.String()},
		"additionalProperties": fields,
	}
}

// cutExample parts the comment of a table in the sample from the entry that it
// shows, which stands indented at its end and documents every field.
func cutExample(comment string) (text, example string) {
	lines := strings.Split(comment, "\n")
	indented := func(line string) bool { return strings.HasPrefix(line, "#   ") }
	at := slices.IndexFunc(lines, indented)
	if at < 0 {
		return comment, ""
	}
	for _, line := range lines[at:] {
		example += strings.TrimPrefix(line, "# ") + "\n"
	}
	return strings.Join(lines[:at], "\n"), example
}

// exampleComments adds the comments of the example's fields as PATH.*.FIELD.
func exampleComments(comments map[string]string, path, example string) error {
	tables := keys()
	at := slices.IndexFunc(tables, func(k key) bool { return k.path == path && k.fields != nil })
	if at < 0 {
		return nil // an indented line of an ordinary comment
	}
	var document yaml.Node
	if err := yaml.Unmarshal([]byte(example), &document); err != nil {
		return fmt.Errorf("read the example of %s in the sample configuration: %w", path, err)
	}
	if len(document.Content) == 0 || len(document.Content[0].Content) < 2 {
		return errors.New("read the sample configuration: " + path + " has no example")
	}
	var walk func(prefix string, node *yaml.Node)
	walk = func(prefix string, node *yaml.Node) {
		for i := 0; i+1 < len(node.Content); i += 2 {
			name, value := node.Content[i], node.Content[i+1]
			comments[prefix+name.Value] = prose(name.HeadComment)
			if value.Kind == yaml.MappingNode {
				walk(prefix+name.Value+".", value)
			}
		}
	}
	walk(path+".*.", document.Content[0].Content[1])
	return nil
}
