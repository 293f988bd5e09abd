package pacs_test

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"neurotriage/pacs"
	"neurotriage/pacs/dimse"
)

// TestCStoreToStorescp: the files that dcmtk's storescp writes hold the same data
// set.
func TestCStoreToStorescp(t *testing.T) {
	program, err := exec.LookPath("storescp")
	if err != nil {
		t.Skip("no storescp on PATH: install the package dcmtk")
	}
	parcel, files := objects(t)
	folder := t.TempDir()
	address := startStorescp(t, program, folder)
	to := &pacs.CStore{Peer: dimse.ClientOptions{Address: address, Called: "ANY", Calling: "US"}}
	for range 2 {
		if err := to.Deliver(t.Context(), parcel); err != nil {
			t.Fatal(err)
		}
	}
	entries, err := os.ReadDir(folder)
	if err != nil || len(entries) != len(files) {
		t.Fatalf("storescp wrote %d files, %v; want %d", len(entries), err, len(files))
	}
	for _, file := range files {
		found := false
		for _, entry := range entries {
			got, err := os.ReadFile(filepath.Join(folder, entry.Name()))
			if err != nil {
				t.Fatal(err)
			}
			found = found || strings.HasSuffix(string(got), string(file.Data[len(file.Data)-1000:]))
		}
		if !found {
			t.Errorf("the data set of %s did not arrive", instance(file))
		}
	}
}

func startStorescp(t *testing.T, program, folder string) string {
	t.Helper()
	for range 5 {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		address := listener.Addr().String()
		_ = listener.Close()
		cmd := exec.Command(program, "-od", folder, address[strings.LastIndexByte(address, ':')+1:]) //nolint:gosec // found on PATH
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() { _ = cmd.Wait(); close(ended) }()
		t.Cleanup(func() { _ = cmd.Process.Kill(); <-ended })
		for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
			conn, err := dimse.Dial(t.Context(), dimse.ClientOptions{
				Address: address, Called: "ANY", Calling: "US", Propose: []dimse.Proposal{{SOPClass: "1.2.840.10008.1.1"}},
			})
			if err == nil {
				err = errors.Join(conn.Echo(t.Context()), conn.Release(t.Context()))
			}
			if err == nil {
				return address
			}
			select {
			case <-ended:
				deadline = time.Time{} // the port was taken
			case <-time.After(50 * time.Millisecond):
			}
		}
	}
	t.Fatal("storescp does not answer")
	return ""
}
