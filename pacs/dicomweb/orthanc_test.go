package dicomweb_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"neurotriage/internal/kit"
	"neurotriage/pacs/dicomweb"
)

// TestOrthanc searches, stores and retrieves at Debian's Orthanc.
func TestOrthanc(t *testing.T) {
	orthanc := kit.StartOrthanc(t, nil)
	client, err := dicomweb.New(dicomweb.Options{Root: orthanc.URL + "/dicom-web", Guard: &dicomweb.Guard{Allow: []string{orthanc.URL + "/dicom-web/"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.Well(t.Context()); err != nil {
		t.Fatal(err)
	}
	study := kit.Study{Name: "web", Series: []kit.Series{{Name: "t1c", Agent: "Gadovist", Images: kit.Heads(7, 32, 32)}, {Name: "t1", Images: kit.Heads(3, 32, 32)}}}
	files := study.Files()
	for range 2 { // what is there already counts as stored
		if err := client.Store(t.Context(), outgoing(files)); err != nil {
			t.Fatal(err)
		}
	}
	found, err := client.Search(t.Context(), nil, "studies")
	if err != nil || len(found) != 1 {
		t.Fatalf("found %v, %v", found, err)
	}
	uid := found[0].Text("0020000D")
	series, err := client.Search(t.Context(), nil, "studies", uid, "series")
	if err != nil || len(series) != 2 {
		t.Fatalf("found series %v, %v", series, err)
	}
	if got := retrieve(t, client, uid, ""); !same(got, files) {
		t.Errorf("%d objects came back and differ from the %d that were stored", len(got), len(files))
	}
	total := 0
	for _, one := range series {
		total += len(retrieve(t, client, uid, one.Text("0020000E")))
	}
	if total != len(files) {
		t.Errorf("%d objects came back series by series, want %d", total, len(files))
	}
	var status *dicomweb.StatusError
	for _, err := range client.Retrieve(t.Context(), "1.2.3.4", "") {
		if !errors.As(err, &status) || status.Status != http.StatusNotFound {
			t.Errorf("a study that is not there: %v", err)
		}
	}
	err = client.Store(t.Context(), []dicomweb.Outgoing{{SOPInstanceUID: "1.2", Size: 4, Open: func() (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader("none")), nil
	}}})
	if err == nil {
		t.Error("what is no DICOM was stored")
	}
}

// TestOrthancSends a study to the receiver by its own STOW-RS client.
func TestOrthancSends(t *testing.T) {
	depot := &pile{}
	server := httptest.NewServer(mounted(dicomweb.ReceiverOptions{Depot: depot}))
	defer server.Close()
	orthanc := kit.StartOrthanc(t, func(settings map[string]any) {
		settings["DicomWeb"] = map[string]any{"Enable": true, "Servers": map[string]any{"us": []string{server.URL + "/dicom-web/"}}}
	})
	files := kit.Study{Name: "sent", Series: []kit.Series{{Images: kit.Heads(9, 32, 32)}}}.Files()
	orthanc.Upload(t, files)
	var studies []string
	orthanc.Ask(t, http.MethodGet, "/studies", nil, &studies)
	orthanc.Ask(t, http.MethodPost, "/dicom-web/servers/us/stow", map[string]any{"Resources": studies, "Synchronous": true}, nil)
	if !same(depot.objects, files) {
		t.Errorf("%d objects came and differ from the %d that were sent", len(depot.objects), len(files))
	}
}

// pile is a depot that keeps bytes.
type pile struct {
	mu      sync.Mutex
	objects [][]byte
}

func (p *pile) Store(_ context.Context, _ dicomweb.Incoming, object io.Reader) (dicomweb.Kept, error) {
	data, err := io.ReadAll(object)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.objects = append(p.objects, data)
	return dicomweb.Kept{SOPClassUID: "1.2.840.10008.5.1.4.1.1.4", SOPInstanceUID: "1.2", StudyInstanceUID: "1.2"}, err
}

func outgoing(files []kit.File) []dicomweb.Outgoing {
	list := make([]dicomweb.Outgoing, len(files))
	for i, file := range files {
		list[i] = dicomweb.Outgoing{SOPInstanceUID: file.Name, Size: int64(len(file.Data)), Open: func() (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(file.Data)), nil
		}}
	}
	return list
}

func retrieve(t *testing.T, client *dicomweb.Client, study, series string) [][]byte {
	t.Helper()
	var objects [][]byte
	for part, err := range client.Retrieve(t.Context(), study, series) {
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(part)
		if err != nil {
			t.Fatal(err)
		}
		objects = append(objects, data)
	}
	return objects
}

// same compares in any order.
func same(got [][]byte, files []kit.File) bool {
	want := make([][]byte, len(files))
	for i, file := range files {
		want[i] = file.Data
	}
	return slices.EqualFunc(slices.SortedFunc(slices.Values(got), bytes.Compare), slices.SortedFunc(slices.Values(want), bytes.Compare), bytes.Equal)
}
