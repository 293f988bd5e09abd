package pacs_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"neurotriage"
	"neurotriage/internal/kit"
	"neurotriage/pacs"
	"neurotriage/pacs/dicomweb"
	"neurotriage/pacs/dimse"
)

const (
	classMR = "1.2.840.10008.5.1.4.1.1.4"
	classCT = "1.2.840.10008.5.1.4.1.1.2"
)

// objects is a parcel of two objects of different classes, and their files.
func objects(t *testing.T) (pacs.Parcel, []kit.File) {
	t.Helper()
	files := append(
		kit.Study{Name: "sent", Series: []kit.Series{{Name: "sr", Images: kit.Heads(1, 16, 16)}}}.Files(),
		kit.Study{Name: "sent", Series: []kit.Series{{Name: "key", SOPClass: classCT, Images: kit.Heads(1, 16, 16)}}}.Files()...)
	p := parcelOf("f")
	for i, kind := range []string{"sr", "key_image"} {
		p.Objects = append(p.Objects, pacs.Object{Kind: kind, SOPInstanceUID: instance(files[i]), Open: func(context.Context) ([]byte, error) {
			return files[i].Data, nil
		}})
	}
	return p, files
}

func instance(f kit.File) string {
	return strings.TrimRight(fmt.Sprint(f.Element(0x00080018).Value), "\x00")
}

// node is a storage provider in the process that answers as told.
type node struct {
	mu     sync.Mutex
	answer func(r dimse.StoreRequest) dimse.Status
	stored []string // instance, class, transfer syntax, priority
}

func (n *node) listen(t *testing.T, options dimse.ServerOptions) string {
	t.Helper()
	options.SOPClasses = func(uid string) bool { return uid == classMR || options.TransferSyntaxes == nil }
	options.Store = func(_ context.Context, r dimse.StoreRequest, data io.Reader) (dimse.Status, error) {
		size, err := io.Copy(io.Discard, data)
		n.mu.Lock()
		defer n.mu.Unlock()
		if size == 0 || err != nil {
			return dimse.StatusProcessingFailure, err
		}
		n.stored = append(n.stored, fmt.Sprint(r.SOPInstanceUID, " ", r.SOPClassUID, " ", r.TransferSyntaxUID, " ", r.Priority))
		if n.answer != nil {
			return n.answer(r), nil
		}
		return dimse.StatusSuccess, nil
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server, err := dimse.NewServer(options)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		_ = server.Shutdown(ctx)
		<-done
	})
	return listener.Addr().String()
}

func TestCStore(t *testing.T) {
	parcel, files := objects(t)
	explicit := "1.2.840.10008.1.2.1"
	all := []string{instance(files[0]) + " " + classMR + " " + explicit + " 0", instance(files[1]) + " " + classCT + " " + explicit + " 0"}
	answer := func(class string, status dimse.Status) func(dimse.StoreRequest) dimse.Status {
		return func(r dimse.StoreRequest) dimse.Status {
			if r.SOPClassUID == class {
				return status
			}
			return dimse.StatusSuccess
		}
	}
	cases := []struct {
		name    string
		answer  func(dimse.StoreRequest) dimse.Status
		options dimse.ServerOptions
		kinds   []string
		stored  []string // as offered
		outage  bool
		says    string // part of the error; empty: delivered
	}{
		{"both stored", nil, dimse.ServerOptions{}, nil, all, false, ""},
		{"one of the kinds", nil, dimse.ServerOptions{}, []string{"sr", "key_object"}, all[:1], false, ""},
		{"there already", answer(classMR, dimse.StatusDuplicate), dimse.ServerOptions{}, nil, all, false, ""},
		{"coerced", answer(classMR, dimse.StatusCoerced), dimse.ServerOptions{}, nil, all, false, ""},
		{"one turned away", answer(classMR, dimse.StatusCannotUnderstand), dimse.ServerOptions{}, nil, all, false, "C000H"},
		{"no room", answer(classMR, dimse.StatusOutOfResources), dimse.ServerOptions{}, nil, all[:1], true, "no room"},
		{"one class not taken", nil, dimse.ServerOptions{TransferSyntaxes: []string{explicit}}, nil, all[:1], false, "leave key_image out"},
		{"called by a wrong name", nil, dimse.ServerOptions{AETitles: []string{"OTHER"}}, nil, nil, true, "called AE title not recognized"},
		{"not now", nil, dimse.ServerOptions{Accept: func(context.Context, dimse.Association) error { return dimse.RejectLimit }}, nil, nil, true, "for now"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			n := &node{answer: c.answer}
			to := &pacs.CStore{Peer: dimse.ClientOptions{Address: n.listen(t, c.options), Called: "PACS", Calling: "US"}, Kinds: c.kinds}
			err := to.Deliver(t.Context(), parcel)
			if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) || errors.Is(err, neurotriage.ErrSurroundings) != c.outage {
				t.Errorf("%v, want %q, an outage: %v", err, c.says, c.outage)
			}
			if !slices.Equal(n.stored, c.stored) {
				t.Errorf("stored %q\nwant   %q", n.stored, c.stored)
			}
		})
	}
}

func TestCStoreUrgency(t *testing.T) {
	parcel, _ := objects(t)
	parcel.Finding.Flags.GliomaReview = true
	n := &node{}
	to := &pacs.CStore{Peer: dimse.ClientOptions{Address: n.listen(t, dimse.ServerOptions{}), Called: "PACS", Calling: "US"}}
	if err := to.Deliver(t.Context(), parcel); err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(n.stored[0], " 1") {
		t.Errorf("a flagged finding was sent with %q", n.stored)
	}
}

func TestCStoreToNobody(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	_ = listener.Close()
	parcel, _ := objects(t)
	err = (&pacs.CStore{Peer: dimse.ClientOptions{Address: address, Called: "PACS", Calling: "US"}}).Deliver(t.Context(), parcel)
	if !errors.Is(err, neurotriage.ErrSurroundings) {
		t.Error(err)
	}
}

// TestParcels that cannot be opened say for ever or not.
func TestParcels(t *testing.T) {
	good, files := objects(t)
	broken := func(data []byte, err error) pacs.Parcel {
		p := parcelOf("f")
		p.Objects = []pacs.Object{{Kind: "sr", SOPInstanceUID: instance(files[0]), Open: func(context.Context) ([]byte, error) { return data, err }}}
		return p
	}
	gone := fmt.Errorf("%w: gone", pacs.ErrRejected)
	trouble := errors.New("no link")
	n := &node{}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	defer server.Close()
	for kind, to := range map[string]pacs.Destination{
		"cstore": &pacs.CStore{Peer: dimse.ClientOptions{Address: n.listen(t, dimse.ServerOptions{}), Called: "PACS", Calling: "US"}},
		"stow":   &pacs.STOW{Client: webClient(t, server.URL)},
	} {
		for _, c := range []struct {
			name   string
			parcel pacs.Parcel
			want   error
		}{
			{"whole", good, nil},
			{"empty", parcelOf("f"), pacs.ErrNothing},
			{"an object that is gone", broken(nil, gone), pacs.ErrRejected},
			{"an object that is not to be had now", broken(nil, trouble), trouble},
			{"no DICOM", broken([]byte("x"), nil), pacs.ErrRejected},
			{"another object", broken(files[1].Data, nil), pacs.ErrRejected},
			{"half a header", broken(files[0].Data[:200], nil), pacs.ErrRejected},
		} {
			if err := to.Deliver(t.Context(), c.parcel); !errors.Is(err, c.want) {
				t.Errorf("%s: %s: %v, want %v", kind, c.name, err, c.want)
			}
		}
	}
}

func webClient(t *testing.T, url string) *dicomweb.Client {
	t.Helper()
	client, err := dicomweb.New(dicomweb.Options{Root: url, Guard: &dicomweb.Guard{Allow: []string{url + "/"}}, Attempts: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// TestSTOW lists what the archive answers to the store, and whether it is well
// when asked afterwards.
func TestSTOW(t *testing.T) {
	failed := func(reason int) string {
		return fmt.Sprintf(`{"00081198":{"vr":"SQ","Value":[{"00081155":{"vr":"UI","Value":["1.2"]},"00081197":{"vr":"US","Value":[%d]}}]}}`, reason)
	}
	cases := []struct {
		name         string
		status       int
		body         string
		well         int
		failed, down bool
	}{
		{"stored", 200, "", 200, false, false},
		{"some not understood", 202, failed(0xC000), 200, true, false},
		{"none understood", 409, failed(0xC000), 200, true, false},
		{"there already", 409, failed(0x0111), 200, false, false},
		{"no room", 409, failed(0xA700), 200, true, true},
		{"busy", 429, "", 200, true, true},
		{"down", 503, "", 503, true, true},
		{"no login", 401, "", 401, true, true},
		{"no right", 403, "", 200, true, true},
		{"no such service", 404, "", 404, true, true},
		{"moved", 301, "", 200, true, true},
		{"stumbles over the objects", 500, "", 200, true, false},
		{"stumbles over everything", 500, "", 500, true, true},
		{"not understood", 400, "", 200, true, false},
		{"too large", 413, "", 200, true, false},
	}
	parcel, _ := objects(t)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodGet {
					w.WriteHeader(c.well)
					return
				}
				_, _ = io.Copy(io.Discard, r.Body)
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			}))
			defer server.Close()
			err := (&pacs.STOW{Client: webClient(t, server.URL)}).Deliver(t.Context(), parcel)
			if (err != nil) != c.failed || errors.Is(err, neurotriage.ErrSurroundings) != c.down {
				t.Errorf("%v, want failed %v, an outage: %v", err, c.failed, c.down)
			}
		})
	}
}

// TestSTOWToOrthanc: a repeat leaves the archive as it was.
func TestSTOWToOrthanc(t *testing.T) {
	orthanc := kit.StartOrthanc(t, nil)
	parcel, files := objects(t)
	to := &pacs.STOW{Client: webClient(t, orthanc.URL+"/dicom-web")}
	twice(t, orthanc, to, parcel, files)
}

// TestCStoreToOrthanc: the same by C-STORE.
func TestCStoreToOrthanc(t *testing.T) {
	orthanc := kit.StartOrthanc(t, nil)
	parcel, files := objects(t)
	to := &pacs.CStore{Peer: dimse.ClientOptions{Address: orthanc.DICOM, Called: "ORTHANC", Calling: "US"}}
	twice(t, orthanc, to, parcel, files)
}

// TestCommitmentByOrthanc: the archive reports over an association of its own, to
// our receiver, and only then is the parcel delivered.
func TestCommitmentByOrthanc(t *testing.T) {
	register := pacs.NewCommitments()
	reports := make(chan dimse.Commitment, 10)
	n := &node{}
	host, port, err := net.SplitHostPort(n.listen(t, dimse.ServerOptions{
		Committed: func(ctx context.Context, peer dimse.Association, report dimse.Commitment) error {
			reports <- report
			return register.Report(ctx, peer, report)
		},
	}))
	if err != nil {
		t.Fatal(err)
	}
	orthanc := kit.StartOrthanc(t, func(settings map[string]any) {
		settings["DicomModalities"] = map[string]any{"us": []any{"US", host, json.Number(port)}}
	})
	parcel, files := objects(t)
	to := &pacs.CStore{Peer: dimse.ClientOptions{Address: orthanc.DICOM, Called: "ORTHANC", Calling: "US"}, Commitments: register}
	for range 2 { // the second time the archive's word is remembered
		err := to.Deliver(t.Context(), parcel)
		var later *pacs.Postponed
		if errors.As(err, &later) { // on a slow machine
			select {
			case report := <-reports:
				reports <- report
			case <-time.After(time.Minute):
			}
			err = to.Deliver(t.Context(), parcel)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(reports) != 1 {
		t.Fatalf("%d reports came, want one", len(reports))
	}
	if report := <-reports; len(report.Stored) != len(files) || len(report.Failed) != 0 {
		t.Errorf("reported %+v", report)
	}
}

func twice(t *testing.T, orthanc *kit.Orthanc, to pacs.Destination, parcel pacs.Parcel, files []kit.File) {
	t.Helper()
	for range 2 {
		if err := to.Deliver(t.Context(), parcel); err != nil {
			t.Fatal(err)
		}
	}
	var changes struct {
		Changes []struct{ ChangeType string }
	}
	orthanc.Ask(t, http.MethodGet, "/changes?limit=1000", nil, &changes)
	arrived := 0
	for _, change := range changes.Changes {
		if change.ChangeType == "NewInstance" {
			arrived++
		}
	}
	if arrived != len(files) {
		t.Errorf("the archive noted %d new objects, want %d", arrived, len(files))
	}
}
