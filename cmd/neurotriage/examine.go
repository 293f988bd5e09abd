package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"neurotriage/classifier"
	"neurotriage/classifier/onnx"
	"neurotriage/classifier/onnx/library"
	"neurotriage/config"
	"neurotriage/daemon"
)

func ok(name, format string, args ...any) diagnosis {
	return diagnosis{Name: name, Level: fine, Detail: fmt.Sprintf(format, args...)}
}

func (a *app) examineConfig(_ context.Context, settings config.Config) []diagnosis {
	const name = "configuration"
	source := a.configFile
	if source == "" {
		source = a.getenv("NEUROTRIAGE_CONFIG")
	}
	if source == "" {
		source = "built-in defaults, no file"
	}
	if err := a.checkConfig(settings); err != nil {
		return []diagnosis{{name, broken, err.Error(), "correct it; 'neurotriage config show' tells where each value comes from"}}
	}
	return []diagnosis{ok(name, "%s", source)}
}

func (a *app) examineLibrary(_ context.Context, settings config.Config) []diagnosis {
	const name = "library"
	path, err := library.Find(settings.ONNXRuntime.Library)
	if err != nil {
		return []diagnosis{{name, broken, err.Error(), library.Cure}}
	}
	return []diagnosis{ok(name, "ONNX Runtime at %s", path)}
}

// examineModel checks the card, runs the network, and says what it runs on.
func (a *app) examineModel(ctx context.Context, settings config.Config) []diagnosis {
	const name, cure = "model", "take another model.file, or leave it empty for the model inside the program; 'neurotriage model verify FILE' tells more"
	data, err := modelBytes(settings.Model.File)
	if err != nil {
		return []diagnosis{{name, broken, err.Error(), cure}}
	}
	pack, err := classifier.Unpack(data)
	if err != nil {
		return []diagnosis{{name, broken, err.Error(), cure}}
	}
	card := ok(name, "%s %s, %s", pack.Model.Name, pack.Model.Version, pack.Model.Digest)
	if _, err := library.Find(settings.ONNXRuntime.Library); err != nil {
		return []diagnosis{card, {"runtime", broken, "not tried without the library", library.Cure}}
	}
	runner, _, err := a.open(ctx, runnerOptions(settings, a.quietLog()))
	if err != nil {
		return []diagnosis{card, {"runtime", broken, err.Error(), cure}}
	}
	defer runner.Close()
	reporter, has := runner.(interface{ Report() onnx.Report })
	if !has {
		return []diagnosis{card, ok("runtime", "%s answers the golden inputs", runner.Info().Runtime)}
	}
	return append([]diagnosis{card}, examineProviders(reporter.Report())...)
}

// examineProviders tells of each provider why it was taken or not.
func examineProviders(report onnx.Report) []diagnosis {
	lines := []diagnosis{ok("runtime", "ONNX Runtime %s on %s, golden scores agree", report.Version, report.Provider)}
	for _, attempt := range report.Attempts {
		name := string(attempt.Provider)
		switch {
		case attempt.Accepted:
			lines = append(lines, ok(name, "%.2f ms a slice, with %d workers", attempt.SliceMillis, report.Workers))
		case strings.HasPrefix(attempt.Reason, "no "): // there is no device
			lines = append(lines, ok(name, "not used: %s", attempt.Reason))
		default:
			lines = append(lines, diagnosis{name, amiss, "not used: " + attempt.Reason,
				"check the driver and the library for this device (docs/OPERATIONS.md), or leave " + name + " out of onnxruntime.providers"})
		}
	}
	return lines
}

// natsPatience bounds each question to NATS and to the daemon.
const natsPatience = 5 * time.Second

func (a *app) examineNATS(ctx context.Context, settings config.Config) []diagnosis {
	const name = "nats"
	ctx, cancel := context.WithTimeout(ctx, natsPatience)
	defer cancel()
	bus, err := a.connect(ctx, settings)
	if err != nil {
		if settings.NATS.URL == "" && running(settings).NATS == "" {
			return append([]diagnosis{{name, amiss, "no daemon runs here, so its NATS server does not either", "start it with 'neurotriage serve'"}},
				examinePorts(ctx, settings)...)
		}
		first, _, _ := strings.Cut(err.Error(), "\n")
		return []diagnosis{{name, broken, first, "start the NATS server, or correct nats.url and the credentials"}}
	}
	defer bus.Close()
	lines := []diagnosis{ok(name, "%s, JetStream is there", bus.Health().Server)}
	letters, err := bus.DeadLetters(ctx)
	switch {
	case err != nil:
		lines = append(lines, diagnosis{"streams", broken, err.Error(), "start the daemon once, which makes the streams, and grant what its log names"})
	case len(letters) > 0:
		lines = append(lines, diagnosis{"dead letters", amiss, plural(len(letters), "study was", "studies were") + " refused or given up", "look at them with 'neurotriage deadletter list'"})
	}
	return lines
}

// examinePorts asks whether a daemon could listen where it is told to.
func examinePorts(ctx context.Context, settings config.Config) []diagnosis {
	listeners := [][2]string{{"http.listen", settings.HTTP.Listen}, {"nats.embedded.listen", settings.NATS.Embedded.Listen}}
	if listen := settings.PACS.Receive.Listen; listen != "" {
		listeners = append(listeners, [2]string{"pacs.receive.listen", listen})
	}
	var lines []diagnosis
	for _, one := range listeners {
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", one[1])
		if err != nil {
			lines = append(lines, diagnosis{"ports", broken, fmt.Sprintf("%s: %v", one[0], err),
				"stop what listens there, or choose another address (port 0 takes any free one)"})
			continue
		}
		_ = listener.Close() // nothing was sent
	}
	return lines
}

// examineDaemon asks the daemon that runs with this state directory how it fares.
func (a *app) examineDaemon(ctx context.Context, settings config.Config) []diagnosis {
	at := running(settings)
	if at.HTTP == "" {
		return nil
	}
	health, err := askReady(ctx, at.HTTP+"readyz")
	if err != nil {
		return []diagnosis{{"daemon", amiss, err.Error(), fmt.Sprintf("see whether process %d still lives; 'neurotriage serve' starts a new one", at.PID)}}
	}
	lines := []diagnosis{ok("daemon", "version %s, process %d, since %s", at.Version, at.PID, at.Started.Local().Format(time.DateTime))}
	for _, part := range health.Parts {
		if part.OK {
			lines = append(lines, ok("  "+part.Name, "%s", part.Detail))
			continue
		}
		lines = append(lines, diagnosis{"  " + part.Name, broken, part.Cause, part.Cure})
	}
	return lines
}

// errLocked says that the daemon's listener wants a secret.
var errLocked = errors.New("the daemon runs and asks for authentication; its health is not looked at")

func askReady(ctx context.Context, url string) (daemon.Health, error) {
	ctx, cancel := context.WithTimeout(ctx, natsPatience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return daemon.Health{}, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return daemon.Health{}, fmt.Errorf("the daemon whose address stands in addresses.json does not answer: %w", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode == http.StatusUnauthorized {
		return daemon.Health{}, errLocked
	}
	var health daemon.Health
	if err := json.NewDecoder(io.LimitReader(answer.Body, 1<<20)).Decode(&health); err != nil {
		return daemon.Health{}, fmt.Errorf("read the answer of %s (%s): %w", url, answer.Status, err)
	}
	return health, nil
}

// leastFree is the free space in bytes below which the doctor warns.
const leastFree = 2 << 30

func (a *app) examineStorage(_ context.Context, settings config.Config) []diagnosis {
	lines := []diagnosis{examineState(settings.StateDir)}
	if r := settings.PACS.Receive; r.Listen != "" || r.STOW {
		lines = append(lines, examineReceived(settings.ReceivedDir(), int64(r.MinFree)))
	}
	names := make([]string, 0, len(settings.Roots))
	for name := range settings.Roots {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		folder := settings.Roots[name]
		entries, err := os.ReadDir(folder)
		switch {
		case err != nil:
			lines = append(lines, diagnosis{"root " + name, broken, err.Error(), "mount the share, or give the daemon's user the right to read it"})
		case len(entries) == 0:
			lines = append(lines, diagnosis{"root " + name, amiss, folder + " is empty, as an unmounted share is", "mount the share if it is one"})
		default:
			lines = append(lines, ok("root "+name, "%s", folder))
		}
	}
	return lines
}

// examineReceived asks whether images that are sent here find room.
func examineReceived(dir string, least int64) diagnosis {
	const name = "received images"
	there := existing(dir)
	if err := syscall.Access(there, 2); err != nil { // W_OK
		return diagnosis{name, broken, fmt.Sprintf("%s cannot be written: %v", dir, err), "give the daemon's user the right to write there, or set pacs.receive.dir"}
	}
	var disk syscall.Statfs_t
	if err := syscall.Statfs(there, &disk); err != nil {
		return diagnosis{name, amiss, fmt.Sprintf("%s: asking for free space: %v", dir, err), "look at the file system"}
	}
	free := int64(disk.Bavail) * int64(disk.Bsize) //nolint:unconvert // its type differs between systems
	if free < least {
		return diagnosis{name, broken, fmt.Sprintf("%s has %d MB left, pacs.receive.min_free wants %d: senders are turned away", dir, free/1e6, least/1e6),
			"free space, or move pacs.receive.dir to a larger disk"}
	}
	return ok(name, "%s, %d GB free", dir, free>>30)
}

// existing is the path, or the nearest folder above it that exists.
func existing(path string) string {
	for {
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) || path == filepath.Dir(path) {
			return path
		}
		path = filepath.Dir(path)
	}
}

// examineState asks whether the state directory, or the nearest folder above it
// that exists, can be written, and how much room there is.
func examineState(dir string) diagnosis {
	const name = "storage"
	there := existing(dir)
	if err := syscall.Access(there, 2); err != nil { // W_OK
		return diagnosis{name, broken, fmt.Sprintf("state_dir %s cannot be written: %v", dir, err), "give the daemon's user the right to write there, or set state_dir"}
	}
	var disk syscall.Statfs_t
	if err := syscall.Statfs(there, &disk); err != nil {
		return diagnosis{name, amiss, fmt.Sprintf("state_dir %s: asking for free space: %v", dir, err), "look at the file system"}
	}
	free := int64(disk.Bavail) * int64(disk.Bsize) //nolint:unconvert // its type differs between systems
	if free < leastFree {
		return diagnosis{name, amiss, fmt.Sprintf("state_dir %s has %d MB left", dir, free>>20), "free space: the daemon pauses when the disk is full"}
	}
	return ok(name, "state_dir %s, %d GB free", dir, free>>30)
}

// examineDestinations looks whether each destination of findings could be
// reached.
func (a *app) examineDestinations(ctx context.Context, settings config.Config) []diagnosis {
	const name = "destinations"
	var found []diagnosis
	for _, destination := range slices.Sorted(maps.Keys(settings.PACS.Destinations)) {
		kind := settings.PACS.Destinations[destination].Kind
		ctx, cancel := context.WithTimeout(ctx, trialTime/3)
		err := daemon.CheckDestination(ctx, settings, destination)
		cancel()
		if err != nil {
			found = append(found, diagnosis{name, broken, destination + " (" + kind + "): " + err.Error(),
				"mend the way to it; findings wait for it meanwhile. 'neurotriage config show' has pacs.destinations." + destination})
			continue
		}
		found = append(found, ok(name, "%s (%s): answers", destination, kind))
	}
	if len(found) == 0 {
		return []diagnosis{ok(name, "findings go to NATS only; pacs.destinations says where else")}
	}
	return found
}
