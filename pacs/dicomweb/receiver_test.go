package dicomweb_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"neurotriage/pacs/dicomweb"
)

// shelf is a depot that judges objects by their first word.
type shelf struct {
	mu   sync.Mutex
	kept []string
	from []dicomweb.Incoming
	size int64
}

func (s *shelf) Store(_ context.Context, from dicomweb.Incoming, object io.Reader) (dicomweb.Kept, error) {
	head := make([]byte, 16)
	n, err := io.ReadFull(object, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) || n == 0 {
		return dicomweb.Kept{}, err
	}
	word, _, _ := strings.Cut(string(head[:n]), " ")
	switch word {
	case "full":
		return dicomweb.Kept{}, &dicomweb.Rejection{SOPClassUID: "1", SOPInstanceUID: "1.7", Reason: dicomweb.ReasonResources, Err: errors.New("no room")}
	case "wrong":
		return dicomweb.Kept{}, errors.New("a fault")
	case "unwanted":
		return dicomweb.Kept{}, fmt.Errorf("wrapped: %w", &dicomweb.Rejection{SOPClassUID: "1", SOPInstanceUID: "1.9", Reason: dicomweb.ReasonClass, Err: errors.New("no")})
	}
	rest, err := io.Copy(io.Discard, object)
	if err != nil {
		return dicomweb.Kept{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept, s.from, s.size = append(s.kept, word), append(s.from, from), s.size+rest+int64(n)
	kept := dicomweb.Kept{SOPClassUID: "1.2.840.10008.5.1.4.1.1.4", SOPInstanceUID: "1.2." + fmt.Sprint(len(s.kept)), StudyInstanceUID: "1.2"}
	if word == "coerced" {
		kept.Warning = 0xB000
	}
	return kept, nil
}

func mounted(options dicomweb.ReceiverOptions) http.Handler {
	mux := http.NewServeMux()
	receiver := dicomweb.NewReceiver(options)
	mux.Handle("POST /dicom-web/studies", receiver)
	mux.Handle("POST /dicom-web/studies/{study}", receiver)
	return mux
}

func TestReceiver(t *testing.T) {
	const related = `multipart/related; type="application/dicom"; boundary=b`
	part := func(text string) string { return "--b\r\nContent-Type: application/dicom\r\n\r\n" + text + "\r\n" }
	cases := []struct {
		name, path, kind, accept, body string
		status                         int
		kept                           []string
		failed                         []string // "instance reason", or "reason" alone of what has no name
	}{
		{"two objects", "", related, "", part("one") + part("two") + "--b--", 200, []string{"one", "two"}, nil},
		{"into a study", "/1.2", related, "application/dicom+json", part("one") + "--b--", 200, []string{"one"}, nil},
		{"into what is none", "/1.a", related, "", part("one") + "--b--", 400, nil, nil},
		{"one of two", "", related, "*/*", part("unwanted") + part("two") + "--b--", 202, []string{"two"}, []string{"1.9 290"}},
		{"one coerced", "", related, "", part("coerced") + "--b--", 202, []string{"coerced"}, nil},
		{"none of two", "", related, "", part("unwanted") + part("wrong") + "--b--", 409, nil, []string{"1.9 290", "272"}},
		{"no room", "", related, "", part("full") + "--b--", 507, nil, []string{"1.7 42752"}},
		{"metadata as JSON", "", related, "", "--b\r\nContent-Type: application/dicom+json\r\n\r\n{}\r\n--b--", 409, nil, []string{"49152"}},
		{"no object", "", related, "", "--b--", 400, nil, nil},
		{"no multipart", "", "application/dicom", "", "one", 415, nil, nil},
		{"multipart of JSON", "", `multipart/related; type="application/dicom+json"; boundary=b`, "", "--b--", 415, nil, nil},
		{"no boundary", "", "multipart/related", "", "", 415, nil, nil},
		{"no type", "", "", "", "one", 415, nil, nil},
		{"an answer that we do not write", "", related, "image/png", part("one") + "--b--", 406, nil, nil},
		{"cut off", "", related, "", part("one") + "--b\r\n\r\ntw", 400, []string{"one"}, nil},
		{"another boundary", "", related, "", "--c\r\n\r\none\r\n--c--", 400, nil, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			depot, ended := &shelf{}, 0
			handler := mounted(dicomweb.ReceiverOptions{Depot: depot, Ended: func(dicomweb.Incoming, error) { ended++ }})
			request := httptest.NewRequest(http.MethodPost, "/dicom-web/studies"+c.path, strings.NewReader(c.body))
			request.Header.Set("Content-Type", c.kind)
			if c.accept != "" {
				request.Header.Set("Accept", c.accept)
			}
			answer := httptest.NewRecorder()
			handler.ServeHTTP(answer, request)
			if answer.Code != c.status || !slices.Equal(depot.kept, c.kept) {
				t.Errorf("status %d, kept %q; want %d, %q\n%s", answer.Code, depot.kept, c.status, c.kept, answer.Body)
			}
			for _, from := range depot.from {
				if from.Study != strings.TrimPrefix(c.path, "/") || from.Transfer == "" || from.Remote == "" {
					t.Errorf("came from %+v", from)
				}
			}
			if answer.Header().Get("Content-Type") == "application/dicom+json" {
				if stored, failed := unpack(t, answer.Body.Bytes()); stored != len(c.kept) || !slices.Equal(failed, c.failed) || ended != 1 {
					t.Errorf("the answer says %d kept, failed %q, ended %d times; want %d, %q", stored, failed, ended, len(c.kept), c.failed)
				}
			}
		})
	}
}

func unpack(t *testing.T, text []byte) (stored int, failed []string) {
	t.Helper()
	var d dicomweb.Dataset
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	for _, item := range append(d.Items("00081198"), d.Items("0008119A")...) {
		failed = append(failed, strings.TrimSpace(item.Text("00081155")+" "+item.Text("00081197")))
	}
	return len(d.Items("00081199")), failed
}

func TestReceiverAnswersInXML(t *testing.T) {
	body := "--b\r\n\r\ncoerced\r\n--b\r\n\r\nunwanted\r\n--b--"
	request := httptest.NewRequest(http.MethodPost, "/dicom-web/studies", strings.NewReader(body))
	request.Header.Set("Content-Type", "multipart/related; boundary=b")
	request.Header.Set("Accept", "application/dicom+xml")
	answer := httptest.NewRecorder()
	mounted(dicomweb.ReceiverOptions{Depot: &shelf{}}).ServeHTTP(answer, request)
	const want = `<NativeDicomModel>` +
		`<DicomAttribute tag="00081198" vr="SQ"><Item number="1">` +
		`<DicomAttribute tag="00081150" vr="UI"><Value number="1">1</Value></DicomAttribute>` +
		`<DicomAttribute tag="00081155" vr="UI"><Value number="1">1.9</Value></DicomAttribute>` +
		`<DicomAttribute tag="00081197" vr="US"><Value number="1">290</Value></DicomAttribute></Item></DicomAttribute>` +
		`<DicomAttribute tag="00081199" vr="SQ"><Item number="1">` +
		`<DicomAttribute tag="00081150" vr="UI"><Value number="1">1.2.840.10008.5.1.4.1.1.4</Value></DicomAttribute>` +
		`<DicomAttribute tag="00081155" vr="UI"><Value number="1">1.2.1</Value></DicomAttribute>` +
		`<DicomAttribute tag="00081196" vr="US"><Value number="1">45056</Value></DicomAttribute></Item></DicomAttribute></NativeDicomModel>`
	if got := answer.Body.String(); got != want || answer.Code != 202 {
		t.Errorf("%d\n%s\nwant\n%s", answer.Code, got, want)
	}
}

// TestReceiverStreams: what is larger than the memory it takes.
func TestReceiverStreams(t *testing.T) {
	const objects, size = 3, 16 << 20
	depot := &shelf{}
	server := httptest.NewServer(mounted(dicomweb.ReceiverOptions{Depot: depot}))
	defer server.Close()
	client, _ := open(t, server, dicomweb.Options{})
	var files []dicomweb.Outgoing
	for range objects {
		files = append(files, dicomweb.Outgoing{SOPInstanceUID: "1.2.1", Size: size, Open: func() (io.ReadCloser, error) {
			return io.NopCloser(io.LimitReader(zeros{}, size)), nil
		}})
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := client.Store(t.Context(), files); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if depot.size != objects*size {
		t.Errorf("%d bytes came, want %d", depot.size, objects*size)
	}
	if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 8<<20 {
		t.Errorf("%d bytes were allocated for objects of %d bytes", allocated, objects*size)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// TestReceiverEndsStandstill: a sender that falls silent in the middle.
func TestReceiverEndsStandstill(t *testing.T) {
	ended := make(chan error, 1)
	server := httptest.NewServer(mounted(dicomweb.ReceiverOptions{
		Depot: &shelf{}, Still: 20 * time.Millisecond, Ended: func(_ dicomweb.Incoming, err error) { ended <- err },
	}))
	defer server.Close()
	reader, writer := io.Pipe()
	defer writer.Close()
	go func() { _, _ = io.WriteString(writer, "--b\r\nContent-Type: application/dicom\r\n\r\nhalf an object") }()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/dicom-web/studies", reader)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", `multipart/related; type="application/dicom"; boundary=b`)
	if response, err := http.DefaultClient.Do(request); err == nil {
		response.Body.Close()
	}
	if err := <-ended; err == nil {
		t.Error("half an object passed for a whole transfer")
	}
}

func TestStore(t *testing.T) {
	object := func(text string) dicomweb.Outgoing {
		return dicomweb.Outgoing{SOPInstanceUID: "1.2.9", Size: int64(len(text)), Open: func() (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader(text)), nil
		}}
	}
	cases := []struct {
		name   string
		status int
		body   string
		want   string // part of the error; empty: stored
		full   bool
	}{
		{"stored", 200, `{"00081199":{"vr":"SQ","Value":[{}]}}`, "", false},
		{"stored, without a word", 200, "", "", false},
		{"stored, with words in a list", 200, `[{"00081199":{"vr":"SQ","Value":[{}]}}]`, "", false},
		{"stored, in XML", 200, "<NativeDicomModel/>", "", false},
		{"stored with warnings", 202, `{"00081199":{"vr":"SQ","Value":[{"00081196":{"vr":"US","Value":[45056]}}]}}`, "", false},
		{"not all stored", 202, `{"00081198":{"vr":"SQ","Value":[{"00081155":{"vr":"UI","Value":["1.2.9"]},"00081197":{"vr":"US","Value":[290]}}]}}`,
			"of 1.2.9 it says 0122h (class not supported)", false},
		{"no room", 409, `{"00081198":{"vr":"SQ","Value":[{"00081155":{"vr":"UI","Value":["1.2.9"]},"00081197":{"vr":"US","Value":[42752]}}]}}`,
			"out of resources", true},
		{"there already", 409, `{"00081198":{"vr":"SQ","Value":[{"00081155":{"vr":"UI","Value":["1.2.9"]},"00081197":{"vr":"US","Value":[273]}}]}}`, "", false},
		{"none stored, without a word", 409, "", "409", false},
		{"no right", 403, "", "grant it", false},
		{"not understood", 400, "", "400", false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var length, came int64
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				length = r.ContentLength
				came, _ = io.Copy(io.Discard, r.Body)
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			}))
			defer server.Close()
			client, _ := open(t, server, dicomweb.Options{})
			err := client.Store(t.Context(), []dicomweb.Outgoing{object("one"), object("three")})
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%v, want %q", err, c.want)
			}
			var unstored *dicomweb.StoreError
			if errors.As(err, &unstored) && unstored.Full() != c.full {
				t.Errorf("full: %v", unstored.Full())
			}
			if length != came || length <= 0 {
				t.Errorf("announced %d bytes, sent %d", length, came)
			}
		})
	}
}

// TestStoreRepeats the whole body, and says what is wrong with an object.
func TestStoreRepeats(t *testing.T) {
	var bodies [][]byte
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if bodies = append(bodies, body); len(bodies) == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer server.Close()
	client, waits := open(t, server, dicomweb.Options{})
	file := dicomweb.Outgoing{SOPInstanceUID: "1.2", Size: 3, Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("one")), nil }}
	if err := client.Store(t.Context(), []dicomweb.Outgoing{file}); err != nil {
		t.Fatal(err)
	}
	if len(bodies) != 2 || !bytes.Equal(bodies[0], bodies[1]) || !bytes.Contains(bodies[0], []byte("\r\n\r\none\r\n")) {
		t.Errorf("sent %q", bodies)
	}
	*waits = nil
	lost := errors.New("lost")
	for name, broken := range map[string]dicomweb.Outgoing{
		"cannot be opened": {SOPInstanceUID: "1.2", Size: 3, Open: func() (io.ReadCloser, error) { return nil, lost }},
		"is too short":     {SOPInstanceUID: "1.2", Size: 4, Open: file.Open},
	} {
		if err := client.Store(t.Context(), []dicomweb.Outgoing{broken}); err == nil || name == "cannot be opened" && !errors.Is(err, lost) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(*waits) != 0 {
		t.Errorf("what cannot be sent was tried again: %v", *waits)
	}
}

func TestWorkitems(t *testing.T) {
	items := map[string]dicomweb.Dataset{}
	mux := http.NewServeMux()
	take := func(r *http.Request) dicomweb.Dataset {
		var list []dicomweb.Dataset
		if err := json.NewDecoder(r.Body).Decode(&list); err != nil || len(list) != 1 || r.Header.Get("Content-Type") != "application/dicom+json" {
			t.Errorf("sent %v, %v as %s", list, err, r.Header.Get("Content-Type"))
			return nil
		}
		return list[0]
	}
	mux.HandleFunc("POST /dicom-web/workitems", func(w http.ResponseWriter, r *http.Request) {
		if items[r.URL.RawQuery] != nil {
			w.WriteHeader(http.StatusConflict)
			return
		}
		items[r.URL.RawQuery] = take(r)
		w.WriteHeader(http.StatusCreated)
	})
	mux.HandleFunc("POST /dicom-web/workitems/{uid}", func(w http.ResponseWriter, r *http.Request) {
		if got := r.URL.Query().Get("transaction-uid"); got != "9.9" {
			t.Errorf("transaction %q", got)
		}
		items[r.PathValue("uid")] = take(r)
	})
	mux.HandleFunc("GET /dicom-web/workitems/{uid}", func(w http.ResponseWriter, r *http.Request) {
		if items[r.PathValue("uid")] == nil {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_ = json.NewEncoder(w).Encode([]dicomweb.Dataset{items[r.PathValue("uid")]})
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	client, _ := open(t, server, dicomweb.Options{})
	priority := func(p string) dicomweb.Dataset { return dicomweb.Dataset{"00741200": dicomweb.Attribute("CS", p)} }
	if err := client.CreateWorkitem(t.Context(), "1.2.3", priority("HIGH")); err != nil {
		t.Fatal(err)
	}
	if err := client.CreateWorkitem(t.Context(), "1.2.3", priority("HIGH")); !errors.Is(err, dicomweb.ErrExists) {
		t.Errorf("made twice: %v", err)
	}
	if err := client.UpdateWorkitem(t.Context(), "1.2.3", "9.9", priority("LOW")); err != nil {
		t.Error(err)
	}
	item, err := client.Workitem(t.Context(), "1.2.3")
	if err != nil || item.Text("00741200") != "LOW" {
		t.Errorf("%v, %v", item, err)
	}
	var status *dicomweb.StatusError
	if _, err := client.Workitem(t.Context(), "1.2.4"); !errors.As(err, &status) || status.Status != 404 {
		t.Errorf("an item that is not there: %v", err)
	}
}
