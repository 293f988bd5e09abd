package main

import (
	"archive/zip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const patience = time.Minute

// startOrthanc gives the address of its DICOMweb service.
func startOrthanc(ctx context.Context, program, folder string) (web string, stop func(), err error) {
	port, err := freePort()
	if err != nil {
		return "", nil, err
	}
	base := fmt.Sprintf("http://127.0.0.1:%d", port)
	settings, err := json.Marshal(map[string]any{
		"StorageDirectory": filepath.Join(folder, "archive"), "HttpPort": port, "DicomServerEnabled": false, "RemoteAccessAllowed": false,
		"AuthenticationEnabled": false, "Plugins": []string{"/usr/share/orthanc/plugins/libOrthancDicomWeb.so"}, "DicomWeb": map[string]any{"Enable": true},
	})
	if err != nil {
		return "", nil, err
	}
	file := filepath.Join(folder, "orthanc.json")
	if err := os.WriteFile(file, settings, 0o600); err != nil {
		return "", nil, err
	}
	stop, err = start(exec.CommandContext(ctx, program, file))
	if err != nil {
		return "", nil, err
	}
	if err := answers(ctx, base+"/system"); err != nil {
		stop()
		return "", nil, err
	}
	return base + "/dicom-web", stop, nil
}

func freePort() (int, error) {
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil //nolint:forcetypeassert // it is TCP
}

func start(program *exec.Cmd) (stop func(), err error) {
	if err := program.Start(); err != nil {
		return nil, err
	}
	return func() { _ = program.Process.Signal(os.Interrupt); _ = program.Wait() }, nil
}

func answers(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for ; ctx.Err() == nil; time.Sleep(10 * time.Millisecond) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		if response, err := http.DefaultClient.Do(request); err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
	}
	return fmt.Errorf("%s did not answer within %s", url, patience)
}

// subject is the daemon that is measured.
type subject struct {
	NATS  string `json:"nats"`
	HTTP  string `json:"http"`
	DICOM string `json:"dicom"`
}

func startDaemon(ctx context.Context, binary, folder, archive string) (s subject, stop func(), err error) {
	state := filepath.Join(folder, "state")
	file := filepath.Join(folder, "neurotriage.yaml")
	text := fmt.Sprintf("state_dir: %q\nlog: {level: warn}\nnats: {embedded: {listen: '127.0.0.1:0'}}\nhttp: {listen: '127.0.0.1:0'}\n"+
		"pacs: {receive: {listen: '127.0.0.1:0', quiet: %s}, destinations: {archive: {kind: stow, url: %q}}}\n", state, quiet, archive)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return s, nil, err
	}
	program := exec.CommandContext(ctx, binary, "serve", "--config", file)
	program.Stderr = os.Stderr
	if stop, err = start(program); err != nil {
		return s, nil, err
	}
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		data, err := os.ReadFile(filepath.Join(state, "addresses.json"))
		if err == nil && json.Unmarshal(data, &s) == nil && s.DICOM != "" {
			if err := answers(ctx, s.HTTP+"readyz"); err != nil {
				stop()
				return s, nil, err
			}
			return s, stop, nil
		}
	}
	stop()
	return s, nil, fmt.Errorf("the daemon was not ready within %s", patience)
}

// readStudy gives the first files of the archive, in the order of their names.
func readStudy(path string, most int) ([][]byte, error) {
	archive, err := zip.OpenReader(path)
	if err != nil {
		return nil, err
	}
	defer archive.Close()
	entries := slices.DeleteFunc(archive.File, func(f *zip.File) bool { return strings.HasSuffix(f.Name, "/") })
	slices.SortFunc(entries, func(a, b *zip.File) int { return strings.Compare(a.Name, b.Name) })
	var files [][]byte
	for _, entry := range entries[:min(most, len(entries))] {
		reader, err := entry.Open()
		if err != nil {
			return nil, err
		}
		data, err := io.ReadAll(reader)
		if err != nil {
			return nil, err
		}
		files = append(files, data)
	}
	return files, nil
}
