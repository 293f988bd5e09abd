package dicomweb_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"neurotriage/pacs/dicomweb"
)

func TestRetrieve(t *testing.T) {
	const related = `multipart/related; type="application/dicom"; boundary=b`
	part := func(text string) string { return "--b\r\nContent-Type: application/dicom\r\n\r\n" + text + "\r\n" }
	cases := []struct {
		name, kind, body string
		status           int
		want             []string
		broken           bool
	}{
		{"two objects", related, part("one") + part("two") + "--b--", 200, []string{"one", "two"}, false},
		{"a preamble and an epilogue", related, "hello\r\n" + part("one") + "--b--\r\nbye", 200, []string{"one"}, false},
		{"an empty object", related, part("") + "--b--", 200, []string{""}, false},
		{"a part without type", related, "--b\r\n\r\none\r\n--b--", 200, []string{"one"}, false},
		{"a boundary in quotes", `multipart/related; type="application/dicom"; boundary="b"`, part("one") + "--b--", 200, []string{"one"}, false},
		{"a boundary that is almost in an object", related, part("one\r\n--bb") + "--b--", 200, []string{"one\r\n--bb"}, false},
		{"one object alone", "application/dicom", "one", 200, []string{"one"}, false},
		{"nothing", related, "--b--", 200, nil, false},
		{"no content", "", "", 204, nil, false},
		{"cut off within an object", related, part("one") + "--b\r\nContent-Type: application/dicom\r\n\r\ntw", 200, []string{"one"}, true},
		{"cut off after an object", related, part("one"), 200, nil, true},
		{"no body", related, "", 200, nil, true},
		{"no boundary", "multipart/related", part("one") + "--b--", 200, nil, true},
		{"a page", "text/html", "<html>please log in", 200, nil, true},
		{"no type", "", "one", 200, nil, true},
		{"pictures", related, "--b\r\nContent-Type: image/jpeg\r\n\r\none\r\n--b--", 200, nil, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header()["Content-Type"] = []string{c.kind}
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			}))
			defer server.Close()
			client, _ := open(t, server, dicomweb.Options{})
			got, err := collect(t, client, "")
			if !slices.Equal(got, c.want) || errors.Is(err, dicomweb.ErrBroken) != c.broken || !c.broken && err != nil {
				t.Errorf("got %q and %v, want %q, broken: %v", got, err, c.want, c.broken)
			}
		})
	}
}

func collect(t *testing.T, client *dicomweb.Client, series string) ([]string, error) {
	t.Helper()
	var got []string
	for part, err := range client.Retrieve(t.Context(), "1.2", series) {
		if err != nil {
			return got, err
		}
		text, err := io.ReadAll(part)
		if err != nil {
			return got, err
		}
		got = append(got, string(text))
	}
	return got, nil
}

// TestRetrieveNegotiates with archives that do not know transfer-syntax=*.
func TestRetrieveNegotiates(t *testing.T) {
	for _, c := range []struct {
		refusal int
		want    []string
	}{{http.StatusNotAcceptable, []string{"one"}}, {http.StatusBadRequest, []string{"one"}}, {http.StatusNotFound, nil}} {
		var paths []string
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			paths = append(paths, r.URL.Path)
			if strings.Contains(r.Header.Get("Accept"), "transfer-syntax=*") {
				w.WriteHeader(c.refusal)
				return
			}
			w.Header().Set("Content-Type", "application/dicom")
			_, _ = io.WriteString(w, "one")
		}))
		client, _ := open(t, server, dicomweb.Options{})
		got, _ := collect(t, client, "3.4")
		server.Close()
		if !slices.Equal(got, c.want) || paths[0] != "/dicom-web/studies/1.2/series/3.4" {
			t.Errorf("after %d: %q from %q, want %q", c.refusal, got, paths, c.want)
		}
	}
}

// TestRetrieveStops when the receiver has enough; the connection is given up.
func TestRetrieveStops(t *testing.T) {
	gone := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(gone)
		w.Header().Set("Content-Type", `multipart/related; type="application/dicom"; boundary=b`)
		for r.Context().Err() == nil {
			if _, err := io.WriteString(w, "--b\r\nContent-Type: application/dicom\r\n\r\n"+strings.Repeat("x", 1<<16)+"\r\n"); err != nil {
				return
			}
		}
	}))
	defer server.Close()
	client, _ := open(t, server, dicomweb.Options{})
	for _, err := range client.Retrieve(t.Context(), "1.2", "") {
		if err != nil {
			t.Error(err)
		}
		break
	}
	<-gone
}
