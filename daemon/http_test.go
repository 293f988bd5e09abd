package daemon

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"neurotriage/config"
)

func TestDoorkeeper(t *testing.T) {
	dir := t.TempDir()
	secret := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	token := config.HTTPAuth{TokenFile: secret("token", "s3cret")}
	login := config.HTTPAuth{User: "reader", PasswordFile: secret("password", "pa55")}
	hospital := []netip.Prefix{netip.MustParsePrefix("10.20.0.0/16")}
	bearer := func(text string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+text) }
	}
	basic := func(user, password string) func(*http.Request) {
		return func(r *http.Request) { r.SetBasicAuth(user, password) }
	}
	from := func(address string) func(*http.Request) { return func(r *http.Request) { r.RemoteAddr = address } }
	asked := func(host string) func(*http.Request) { return func(r *http.Request) { r.Host = host } }
	const near, far = "127.0.0.1:8470", "0.0.0.0:8470"
	cases := []struct {
		name   string
		listen string
		auth   config.HTTPAuth
		allow  []netip.Prefix
		path   string
		change func(*http.Request)
		want   int
	}{
		{"loopback is open", near, config.HTTPAuth{}, nil, "/", asked("127.0.0.1:8470"), 200},
		{"loopback by name", near, config.HTTPAuth{}, nil, "/", asked("LocalHost:8470"), 200},
		{"loopback of IPv6", "[::1]:8470", config.HTTPAuth{}, nil, "/", asked("[::1]:8470"), 200},
		{"a foreign name that points at loopback", near, config.HTTPAuth{}, nil, "/v1/studies", asked("evil.example"), 421},
		{"a foreign name with a lock", near, token, nil, "/", func(r *http.Request) { asked("pacs.example")(r); bearer("s3cret")(r) }, 200},
		{"beyond loopback any name", far, config.HTTPAuth{}, nil, "/", asked("triage.hospital.example"), 200},
		{"token", far, token, nil, "/", bearer("s3cret"), 200},
		{"wrong token", far, token, nil, "/", bearer("s3cre"), 401},
		{"empty token", far, token, nil, "/", bearer(""), 401},
		{"no token", far, token, nil, "/metrics", func(*http.Request) {}, 401},
		{"password instead of token", far, token, nil, "/", basic("", ""), 401},
		{"health needs no token", far, token, nil, "/healthz", func(*http.Request) {}, 200},
		{"readiness does", far, token, nil, "/readyz", func(*http.Request) {}, 401},
		{"login", far, login, nil, "/", basic("reader", "pa55"), 200},
		{"wrong password", far, login, nil, "/", basic("reader", "pa5"), 401},
		{"wrong user", far, login, nil, "/", basic("other", "pa55"), 401},
		{"empty bearer where a login is asked", far, login, nil, "/", bearer(""), 401},
		{"network on the list", far, config.HTTPAuth{}, hospital, "/", from("10.20.3.4:5555"), 200},
		{"network on the list, mapped into IPv6", far, config.HTTPAuth{}, hospital, "/", from("[::ffff:10.20.3.4]:5555"), 200},
		{"network off the list", far, config.HTTPAuth{}, hospital, "/", from("10.21.3.4:5555"), 403},
		{"health from off the list", far, config.HTTPAuth{}, hospital, "/healthz", from("10.21.3.4:5555"), 403},
		{"no address", far, config.HTTPAuth{}, hospital, "/", from("@"), 403},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			keeper, err := newDoorkeeper(config.HTTP{Listen: c.listen, Auth: c.auth, Allow: c.allow})
			if err != nil {
				t.Fatal(err)
			}
			request := httptest.NewRequest(http.MethodGet, c.path, nil)
			c.change(request)
			answer := httptest.NewRecorder()
			keeper.guard(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(answer, request)
			if answer.Code != c.want {
				t.Errorf("status %d, want %d", answer.Code, c.want)
			}
			for header, want := range map[string]string{
				"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Cache-Control": "no-store",
			} {
				if got := answer.Header().Get(header); got != want {
					t.Errorf("%s is %q, want %q", header, got, want)
				}
			}
			if answer.Header().Get("Content-Security-Policy") == "" {
				t.Error("no Content-Security-Policy")
			}
		})
	}
}

func TestDoorkeeperNeedsItsSecrets(t *testing.T) {
	_, err := newDoorkeeper(config.HTTP{Listen: "127.0.0.1:0", Auth: config.HTTPAuth{TokenFile: filepath.Join(t.TempDir(), "none")}})
	if err == nil {
		t.Error("a token that cannot be read leaves the door open")
	}
}
