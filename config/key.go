package config

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// key is one setting: a leaf of Config, or a table, which is a map from names
// to structs (see table.go). The config tag is a list, separated by commas, of
//
//	live       can change while the daemon runs
//	secret     is never shown
//	userinfo   is a URL whose user part is never shown
//	path       is made absolute: from the file's folder, else the working one
//	file       names a file that has to be readable when the daemon starts
//	enum=a|b   allows these values, for each element of a list
//	min= max=  bound the value, written as in the file
//	default=   is what a field of a table's entry begins with
type key struct {
	path  string // dotted
	typ   reflect.Type
	index []int // for reflect.Value.FieldByIndex

	fields []key  // of a table: those of each entry, with paths below it
	name   string // of a table's entry
	inner  []int  // of a table's entry: the field's index in the struct

	live, secret, userinfo, isPath, isFile bool

	enum     []string
	min, max string
	initial  string
}

// keys lists every setting in the order of the struct.
func keys() []key { return keysOf(reflect.TypeFor[Config](), "", nil) }

func keysOf(typ reflect.Type, prefix string, index []int) []key {
	var all []key
	for i := range typ.NumField() {
		field := typ.Field(i)
		if !field.IsExported() {
			continue
		}
		path := prefix + field.Tag.Get("json")
		at := append(slices.Clone(index), i)
		if field.Type.Kind() == reflect.Struct {
			all = append(all, keysOf(field.Type, path+".", at)...)
			continue
		}
		k := newKey(path, field, at)
		if isTable(field.Type) {
			k.fields = keysOf(field.Type.Elem(), "", nil)
		}
		all = append(all, k)
	}
	return all
}

func newKey(path string, field reflect.StructField, index []int) key {
	k := key{path: path, typ: field.Type, index: index}
	for word := range strings.SplitSeq(field.Tag.Get("config"), ",") {
		name, value, _ := strings.Cut(word, "=")
		switch name {
		case "":
		case "live":
			k.live = true
		case "secret":
			k.secret = true
		case "userinfo":
			k.userinfo = true
		case "path":
			k.isPath = true
		case "file":
			k.isFile = true
		case "enum":
			k.enum = strings.Split(value, "|")
		case "min":
			k.min = value
		case "max":
			k.max = value
		case "default":
			k.initial = value
		default:
			panic("config: tag of " + path + ": unknown word " + name) // a slip of ours, seen by every test
		}
	}
	return k
}

// variable is the environment's name of the key.
func (k key) variable() string {
	return envPrefix + strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(k.path))
}

// get is the key's value; only that of a key outside of tables can be set.
func (k key) get(c *Config) reflect.Value {
	value := reflect.ValueOf(c).Elem().FieldByIndex(k.index)
	if k.name != "" {
		value = value.MapIndex(reflect.ValueOf(k.name)).FieldByIndex(k.inner)
	}
	return value
}

// The types a setting may have. Texts are the elements of a list or the
// "name=path" pairs of a map, and a single text for all else.
var (
	typeString   = reflect.TypeFor[string]()
	typeBool     = reflect.TypeFor[bool]()
	typeInt      = reflect.TypeFor[int]()
	typeFloat    = reflect.TypeFor[*float64]()
	typeDuration = reflect.TypeFor[time.Duration]()
	typeSize     = reflect.TypeFor[Size]()
	typeTexts    = reflect.TypeFor[[]string]()
	typePrefixes = reflect.TypeFor[[]netip.Prefix]()
	typeMap      = reflect.TypeFor[map[string]string]()
)

// isList reports whether the key takes several texts.
func (k key) isList() bool { return k.typ == typeTexts || k.typ == typePrefixes || k.typ == typeMap }

// parse turns texts into the key's value, or says what is allowed.
func (k key) parse(texts []string) (any, error) {
	if k.fields != nil {
		return nil, checkEntryNames(texts)
	}
	switch k.typ {
	case typeTexts:
		for _, text := range texts {
			if err := k.checkEnum(text); err != nil {
				return nil, err
			}
		}
		return slices.Clone(texts), nil
	case typeMap:
		return parsePairs(texts)
	case typePrefixes:
		return parsePrefixes(texts)
	}
	if len(texts) != 1 {
		return nil, fmt.Errorf("one value, not %d", len(texts))
	}
	value, err := k.parseText(texts[0])
	if err != nil {
		return nil, err
	}
	return value, k.checkBounds(value)
}

func (k key) parseText(text string) (any, error) {
	switch k.typ {
	case typeString:
		return text, k.checkEnum(text)
	case typeBool:
		switch text {
		case "true":
			return true, nil
		case "false":
			return false, nil
		}
		return nil, errors.New("true or false")
	case typeInt:
		number, err := strconv.Atoi(text)
		if err != nil {
			return nil, errors.New("a whole number")
		}
		return number, nil
	case typeFloat:
		if text == "" {
			return (*float64)(nil), nil // left to the model card
		}
		number, err := strconv.ParseFloat(text, 64)
		if err != nil || number != number {
			return nil, errors.New("a number")
		}
		return &number, nil
	case typeDuration:
		return parseDuration(text)
	case typeSize:
		return parseSize(text)
	}
	panic("config: " + k.path + ": no parser for " + k.typ.String())
}

// parsePairs keeps a map as a list of pairs: viper would change its keys.
func parsePairs(texts []string) (any, error) {
	seen := map[string]bool{}
	for _, text := range texts {
		name, _, ok := strings.Cut(text, "=")
		switch {
		case !ok:
			return nil, errors.New(`pairs such as "incoming=/srv/dicom"`)
		case seen[name]:
			return nil, fmt.Errorf("each name once, and %q stands twice", name)
		}
		seen[name] = true
	}
	return slices.Clone(texts), nil
}

func parsePrefixes(texts []string) (any, error) {
	prefixes := make([]netip.Prefix, 0, len(texts))
	for _, text := range texts {
		prefix, err := netip.ParsePrefix(text)
		if address, addressErr := netip.ParseAddr(text); addressErr == nil {
			prefix, err = netip.PrefixFrom(address, address.BitLen()), nil
		}
		if err != nil {
			return nil, fmt.Errorf(`networks such as "10.20.0.0/16" or "2001:db8::/32", not %q`, text)
		}
		prefixes = append(prefixes, prefix.Masked())
	}
	return prefixes, nil
}

func (k key) checkEnum(text string) error {
	if k.enum == nil || slices.Contains(k.enum, text) {
		return nil
	}
	return fmt.Errorf("one of %s, not %q", strings.Join(k.enum, ", "), text)
}

// checkBounds compares with min and max, which are written as in the file.
func (k key) checkBounds(value any) error {
	below := func(bound string, sign int) bool {
		limit, err := k.parseText(bound)
		if err != nil {
			panic("config: bounds of " + k.path + ": " + err.Error())
		}
		return sign*compare(value, limit) < 0
	}
	if pointer, ok := value.(*float64); ok && pointer == nil {
		return nil
	}
	if k.min != "" && below(k.min, 1) || k.max != "" && below(k.max, -1) {
		return errors.New(k.bounds())
	}
	return nil
}

// bounds is the sentence about min and max, or empty.
func (k key) bounds() string {
	switch {
	case k.min != "" && k.max != "":
		return "from " + k.min + " to " + k.max
	case k.min != "":
		return "at least " + k.min
	case k.max != "":
		return "at most " + k.max
	}
	return ""
}

func compare(a, b any) int {
	number := func(v any) float64 {
		value := reflect.Indirect(reflect.ValueOf(v))
		if value.CanFloat() {
			return value.Float()
		}
		return float64(value.Int())
	}
	switch x, y := number(a), number(b); {
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return 0
}

// texts is the reverse of parse.
func (k key) texts(c *Config) []string {
	if k.fields != nil {
		return k.entryNames(c)
	}
	switch value := k.get(c).Interface().(type) {
	case *float64:
		if value == nil {
			return []string{""}
		}
		return []string{strconv.FormatFloat(*value, 'g', -1, 64)}
	case time.Duration:
		return []string{formatDuration(value)}
	case []string:
		return value
	case []netip.Prefix:
		texts := make([]string, len(value))
		for i, prefix := range value {
			texts[i] = prefix.String()
		}
		return texts
	case map[string]string:
		pairs := make([]string, 0, len(value))
		for name, path := range value {
			pairs = append(pairs, name+"="+path)
		}
		slices.Sort(pairs)
		return pairs
	default:
		return []string{fmt.Sprint(value)}
	}
}
