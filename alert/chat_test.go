package alert_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"neurotriage/alert"
)

// TestChat posts to services of three kinds, as far as they let their address be
// chosen.
func TestChat(t *testing.T) {
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		asked = append(asked, r.URL.Path+" "+r.Header.Get("Title")+" "+string(text))
		_, _ = io.WriteString(w, "{}")
	}))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	for _, c := range []struct{ address, path string }{
		{"ntfy://" + host + "/reading-room?scheme=http", "/reading-room"},
		{"mattermost://" + host + "/t0ps3crettoken/room?disabletls=yes", "/hooks/t0ps3crettoken"},
		{"generic://" + host + "/any?disabletls=yes", "/any"},
	} {
		chat, err := alert.NewChat(c.address)
		if err != nil {
			t.Fatal(err)
		}
		asked = nil
		if err := chat.Send(t.Context(), message(review("a", time.Now()))); err != nil {
			t.Fatalf("%s: %v", c.address, err)
		}
		if len(asked) != 1 || !strings.HasPrefix(asked[0], c.path) || !strings.Contains(asked[0], "Study: 1.2.a") {
			t.Errorf("%s: %q", c.address, asked)
		}
		if err := chat.Check(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func TestChatFaults(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "no channel behind "+r.URL.Path, http.StatusNotFound)
	}))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	for _, address := range []string{
		"mattermost://" + host + "/t0ps3crettoken?disabletls=yes",
		"mattermost://127.0.0.1:1/t0ps3crettoken?disabletls=yes",
		"generic://127.0.0.1:1/t0ps3crettoken?disabletls=yes",
	} {
		chat, err := alert.NewChat(address)
		if err != nil {
			t.Fatal(err)
		}
		err = chat.Send(t.Context(), message(review("a", time.Now())))
		if err == nil || strings.Contains(err.Error(), "t0ps3crettoken") {
			t.Errorf("%s: %v", address, err)
		}
	}
	for _, address := range []string{"", "t0ps3crettoken", "fax://t0ps3crettoken", "slack://t0ps3crettoken", "logger://", "smtp://u:t0ps3crettoken@x/", "%zz://t0ps3crettoken"} {
		if _, err := alert.NewChat(address); err == nil || strings.Contains(err.Error(), "t0ps3crettoken") {
			t.Errorf("%q: %v", address, err)
		}
	}
}
