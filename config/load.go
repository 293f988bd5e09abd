package config

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	"github.com/spf13/viper"
)

const (
	envPrefix     = "NEUROTRIAGE_"
	envFile       = envPrefix + "CONFIG"
	originDefault = "default"
	originFlag    = "flag"
)

// reservedVariables carry the prefix and are no configuration.
var reservedVariables = []string{
	envPrefix + "DATA",   // where tests find real images
	envPrefix + "CACHE",  // where downloaded libraries are kept
	envPrefix + "CI",     // set while the project's own checks run
	envPrefix + "PYTHON", // which Python the training uses
}

// testPrefix begins the variables that tests of this project talk with to the
// programs that they start.
const testPrefix = envPrefix + "TEST_"

// Options say where the configuration comes from.
type Options struct {
	File  string            // YAML; empty: the file that NEUROTRIAGE_CONFIG names, or none
	Env   []string          // as os.Environ gives it
	Flags map[string]string // key -> value as written, of the flags that were given
}

// Load reads the configuration and checks it. The error is a *FaultError that
// holds every complaint. Paths in the result are absolute; StateDir is set.
// Files that the configuration names are not opened: see Config.CheckFiles.
func Load(options Options) (Config, error) {
	var (
		faults complaints
		env    = environment(options.Env)
		layers = layering{viper: viper.New(), origins: map[string]string{}, all: keys()}
	)
	defaults := Default()
	for _, k := range layers.all {
		if k.fields == nil {
			layers.viper.SetDefault(k.path, k.layered(&defaults))
		}
	}
	if file := cmp.Or(options.File, env[envFile]); file != "" {
		layers.addFile(file, &faults)
	}
	layers.addEnvironment(env, &faults)
	layers.addFlags(options.Flags, &faults)

	var config Config
	if err := layers.fill(&config); err != nil {
		return config, fmt.Errorf("fill the configuration: %w", err) // a slip of ours: keys and types are known
	}
	config.noNilTables()
	if config.StateDir == "" {
		config.StateDir, config.origins["state_dir"] = stateDir(env)
	}
	// Keys that could not be parsed hold a lower layer's value here. Checking them
	// too shows everything that is wrong in one go.
	var fault *FaultError
	if errors.As(config.Check(), &fault) {
		faults = append(faults, fault.Complaints...)
	}
	return config, faults.err()
}

// environment keeps the last value of each variable, as exec does.
func environment(pairs []string) map[string]string {
	env := make(map[string]string, len(pairs))
	for _, pair := range pairs {
		if name, value, ok := strings.Cut(pair, "="); ok {
			env[name] = value
		}
	}
	return env
}

// stateDir chooses the state directory and says why: systemd's, else that of
// the XDG base directory specification. It is empty when there is no home.
func stateDir(env map[string]string) (dir, origin string) {
	if dirs := env["STATE_DIRECTORY"]; dirs != "" {
		first, _, _ := strings.Cut(dirs, ":") // systemd lists all of them, systemd.exec(5)
		return first, "environment STATE_DIRECTORY"
	}
	if dir := env["XDG_STATE_HOME"]; filepath.IsAbs(dir) { // relative ones are to be ignored
		return filepath.Join(dir, "neurotriage"), "environment XDG_STATE_HOME"
	}
	if home := env["HOME"]; home != "" {
		return filepath.Join(home, ".local", "state", "neurotriage"), "environment HOME"
	}
	return "", originDefault
}

// layering fills viper's layers with parsed values and remembers origins.
type layering struct {
	viper   *viper.Viper
	origins map[string]string
	all     []key
}

// addFile merges the YAML file.
func (l *layering) addFile(file string, faults *complaints) {
	absolute, err := filepath.Abs(file)
	if err != nil {
		faults.add(file, "", "", "%v", err)
		return
	}
	data, err := os.ReadFile(absolute)
	if err != nil {
		faults.add(file, "", "", "configuration file cannot be read: %v", errors.Unwrap(err))
		return
	}
	values := map[string]any{}
	for _, entry := range readFile(file, data, l.all, faults) {
		if entry.key.fields != nil {
			l.declare(entry.key, entry.texts[0], entry.origin)
		} else if value, ok := l.value(entry.key, entry.texts, entry.origin, filepath.Dir(absolute), faults); ok {
			nest(values, strings.Split(entry.key.path, "."), value)
		}
	}
	if err := l.viper.MergeConfigMap(values); err != nil {
		faults.add(file, "", "", "%v", err)
	}
}

// nest puts value below the path of map keys.
func nest(tree map[string]any, path []string, value any) {
	for _, name := range path[:len(path)-1] {
		if tree[name] == nil {
			tree[name] = map[string]any{}
		}
		tree = tree[name].(map[string]any)
	}
	tree[path[len(path)-1]] = value
}

// addEnvironment sets what the environment overrides.
func (l *layering) addEnvironment(env map[string]string, faults *complaints) {
	l.declareVariables(env)
	known := []string{envFile}
	for _, k := range l.all {
		known = append(known, k.variable())
		if text, ok := env[k.variable()]; ok {
			l.override(k, text, "environment "+k.variable(), faults)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		if ours(name) && !slices.Contains(known, name) {
			faults.add(name, "", "", "unknown variable of the environment%s", didYouMean(name, known))
		}
	}
}

// ours reports whether a variable of the environment is configuration.
func ours(name string) bool {
	reserved := slices.Contains(reservedVariables, name) || strings.HasPrefix(name, testPrefix)
	return strings.HasPrefix(name, envPrefix) && !reserved
}

// addFlags sets what flags override. They come after the environment, since
// viper has one layer above the file that both fit into.
func (l *layering) addFlags(flags map[string]string, faults *complaints) {
	l.declareFlags(flags)
	names := make([]string, 0, len(l.all))
	for _, k := range l.all {
		names = append(names, k.path)
		if text, ok := flags[k.path]; ok {
			l.override(k, text, originFlag, faults)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(flags)) {
		if !slices.Contains(names, name) {
			faults.add(name, "", originFlag, "unknown key%s", didYouMean(name, names))
		}
	}
}

// override takes one text; lists are separated by commas.
func (l *layering) override(k key, text, origin string, faults *complaints) {
	if k.fields != nil {
		faults.add(k.path, "", origin, "allowed are keys of its entries, such as %s.NAME.%s", k.path, k.fields[0].path)
		return
	}
	texts := []string{text}
	if k.isList() {
		texts = []string{}
		for part := range strings.SplitSeq(text, ",") {
			if part = strings.TrimSpace(part); part != "" {
				texts = append(texts, part)
			}
		}
	}
	if value, ok := l.value(k, texts, origin, "", faults); ok {
		l.viper.Set(k.path, value)
	}
}

// value parses the texts of a key and makes its paths absolute, relative ones
// from folder (empty: the working directory).
func (l *layering) value(k key, texts []string, origin, folder string, faults *complaints) (any, bool) {
	if k.isPath {
		texts = k.absolute(texts, folder)
	}
	value, err := k.parse(texts)
	if err != nil {
		faults.add(k.path, k.mask(strings.Join(texts, ", ")), origin, "allowed is %v", err)
		return nil, false
	}
	l.origins[k.path] = origin
	return value, true
}

// absolute makes the paths of a value absolute; of a map, what follows the =.
func (k key) absolute(texts []string, folder string) []string {
	result := make([]string, len(texts))
	for i, text := range texts {
		name, path, pair := strings.Cut(text, "=")
		if k.typ == typeMap && pair {
			result[i] = name + "=" + absolute(path, folder)
		} else if k.typ == typeString {
			result[i] = absolute(text, folder)
		} else {
			result[i] = text // for parse to complain about
		}
	}
	return result
}

// absolute leaves empty paths empty, since they mean "none" or "the default",
// and paths that begin with ~ alone, for Check to complain about.
func absolute(path, folder string) string {
	if path == "" || filepath.IsAbs(path) || strings.HasPrefix(path, "~") {
		return path
	}
	if folder != "" {
		return filepath.Join(folder, path)
	}
	if whole, err := filepath.Abs(path); err == nil {
		return whole
	}
	return path
}

// layered is the key's value in the form that viper's layers hold: a map as a
// list of pairs, whose names keep their case and their dots.
func (k key) layered(c *Config) any {
	if k.typ == typeMap {
		return k.texts(c)
	}
	return k.get(c).Interface()
}

// fill decodes viper's layers into the struct, refusing keys that the struct
// lacks and values of another type.
func (l *layering) fill(config *Config) error {
	config.origins = l.origins
	return l.viper.UnmarshalExact(config, func(decoder *mapstructure.DecoderConfig) {
		decoder.TagName = "json"
		decoder.WeaklyTypedInput = false
		decoder.DecodeHook = pairsToMap
	})
}

// pairsToMap is the decode hook for keys that hold a map.
func pairsToMap(_, to reflect.Type, data any) (any, error) {
	pairs, ok := data.([]string)
	if to != typeMap || !ok {
		return data, nil
	}
	result := make(map[string]string, len(pairs))
	for _, pair := range pairs {
		name, path, _ := strings.Cut(pair, "=")
		result[name] = path
	}
	return result, nil
}
