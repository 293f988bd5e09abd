package login_test

import (
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"neurotriage/internal/kit"
	"neurotriage/worklist"
	"neurotriage/worklist/login"
)

func TestRolesComeFromClaims(t *testing.T) {
	cases := []struct {
		name   string
		claim  string // empty: groups
		claims map[string]any
		info   map[string]any
		want   worklist.Role
	}{
		{"a group", "", map[string]any{"groups": []string{"radiology"}}, nil, worklist.Reader},
		{"the highest of two", "", map[string]any{"groups": []string{"radiology", "pacs"}}, nil, worklist.Admin},
		{"one group as text", "", map[string]any{"groups": "pacs"}, nil, worklist.Admin},
		{"no claim", "", nil, nil, worklist.Viewer},
		{"groups that nothing hangs on", "", map[string]any{"groups": []string{"staff"}}, nil, worklist.Viewer},
		{"numbers", "", map[string]any{"groups": []int{1}}, nil, worklist.Viewer},
		{"Keycloak's realm roles", "realm_access.roles", map[string]any{"realm_access": map[string]any{"roles": []string{"pacs"}}}, nil, worklist.Admin},
		{"an address for a name", "https://hospital.example/roles", map[string]any{"https://hospital.example/roles": []string{"pacs"}}, nil, worklist.Admin},
		{"only user info tells", "", nil, map[string]any{"groups": []string{"pacs"}}, worklist.Admin},
		{"what is signed counts", "", map[string]any{"groups": []string{"radiology"}}, map[string]any{"groups": []string{"pacs"}}, worklist.Reader},
		{"user info of somebody else", "", nil, map[string]any{"sub": "subject-2", "groups": []string{"pacs"}}, 0},
		{"nobody", "", map[string]any{"preferred_username": "nobody"}, nil, 0},
	}
	i := issuer(t)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			i.Set(func(i *kit.Issuer) {
				i.Info, i.Claims = c.info, map[string]any{"preferred_username": "roe"}
				for name, value := range c.claims {
					i.Claims[name] = value
				}
			})
			h := open(t, i, func(o *login.Options) {
				if c.claim != "" {
					o.RoleClaim = c.claim
				}
			})
			h.get(t, h.url+"/login/start")
			who, err := h.visitor()
			if who.Role != c.want || (err == nil) != (c.want > 0) {
				t.Errorf("role %v, %v, want %v", who.Role, err, c.want)
			}
		})
	}
}

// visitor is who the gate takes the browser's cookies for.
func (h *house) visitor() (worklist.Visitor, error) {
	request := httptest.NewRequest(http.MethodGet, h.url, nil)
	at, _ := url.Parse(h.url)
	for _, c := range h.client.Jar.Cookies(at) {
		request.AddCookie(c)
	}
	return h.gate.Visitor(request)
}

func TestWhoHasNoRoleIsTold(t *testing.T) {
	i := issuer(t)
	i.Claims = map[string]any{"preferred_username": "nobody"}
	h := open(t, i)
	status, body, _ := h.get(t, h.url+"/login/start")
	if status != http.StatusForbidden || !strings.Contains(body, "nobody is known, but has no role here") || !strings.Contains(body, "again=yes") {
		t.Errorf("%d: %s", status, body)
	}
}

func TestSessionsEnd(t *testing.T) {
	h := open(t, issuer(t))
	h.get(t, h.url+"/login/start")
	h.now = h.now.Add(time.Hour - time.Second)
	if who, err := h.visitor(); err != nil || who.Name != "roe" {
		t.Errorf("before its end the session is %+v, %v", who, err)
	}
	h.now = h.now.Add(time.Second)
	if who, err := h.visitor(); err == nil {
		t.Errorf("after its end the session is %+v", who)
	}
}

func TestDaemonsWithOneKeyShareSessions(t *testing.T) {
	i := issuer(t)
	h := open(t, i)
	h.get(t, h.url+"/login/start")
	cases := []struct {
		name string
		keys []string
		want bool
	}{
		{"the same key", []string{oneKey}, true},
		{"a new key before it", []string{otherKey, oneKey}, true},
		{"another key", []string{otherKey}, false},
	}
	for _, c := range cases {
		other := open(t, i, func(o *login.Options) { o.Keys = c.keys })
		other.client.Jar, other.url = h.client.Jar, h.url
		if _, err := other.visitor(); (err == nil) != c.want {
			t.Errorf("%s: %v, want it to be known: %v", c.name, err, c.want)
		}
	}
}

func TestCookiesThatAreNotOurs(t *testing.T) {
	h := open(t, issuer(t))
	h.get(t, h.url+"/login/start")
	at, _ := url.Parse(h.url)
	var sealed string
	for _, c := range h.client.Jar.Cookies(at) {
		if strings.HasSuffix(c.Name, "session") {
			sealed = c.Value
		}
	}
	h.client.Jar, _ = cookiejar.New(nil)
	h.stay(t, h.url+"/login/start")
	attempt := h.client.Jar.Cookies(at)[0].Value
	flipped := []byte(sealed)
	flipped[20] ^= 1
	cases := []struct {
		name   string
		values []string
		want   bool
	}{
		{"as it was given", []string{sealed}, true},
		{"one bit changed", []string{string(flipped)}, false},
		{"cut", []string{sealed[:len(sealed)-4]}, false},
		{"nothing", []string{""}, false},
		{"no base64", []string{"!"}, false},
		{"sealed for something else", []string{attempt}, false},
		{"two, of which one is foreign", []string{"x", sealed}, false},
	}
	for _, c := range cases {
		request := httptest.NewRequest(http.MethodGet, "/", nil)
		for _, value := range c.values {
			request.AddCookie(&http.Cookie{Name: "neurotriage_session", Value: value})
		}
		if _, err := h.gate.Visitor(request); (err == nil) != c.want {
			t.Errorf("%s: %v, want it to be known: %v", c.name, err, c.want)
		}
	}
}

// TestCookiesKeepToThemselves looks at the attributes over TLS and on loopback.
func TestCookiesKeepToThemselves(t *testing.T) {
	for _, c := range []struct {
		back, name string
		secure     bool
	}{
		{"https://triage.example/login/callback", "__Host-neurotriage_attempt", true},
		{"http://127.0.0.1:1/login/callback", "neurotriage_attempt", false},
	} {
		h := open(t, issuer(t), func(o *login.Options) { o.RedirectURL = c.back })
		answer := httptest.NewRecorder()
		if err := h.gate.Start(answer, httptest.NewRequest(http.MethodGet, "/login/start", nil), "/", false); err != nil {
			t.Fatal(err)
		}
		cookie := answer.Result().Cookies()[0]
		if cookie.Name != c.name || cookie.Secure != c.secure || !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode || cookie.Path != "/" || cookie.Domain != "" {
			t.Errorf("%s: %+v", c.back, cookie)
		}
	}
}

func TestTheProviderTurnsItsKeys(t *testing.T) {
	i := issuer(t)
	h := open(t, i)
	h.get(t, h.url+"/login/start")
	i.Rotate()
	if _, err := h.visitor(); err != nil {
		t.Errorf("a session ends with the provider's key: %v", err)
	}
	h.client.Jar, _ = cookiejar.New(nil)
	if status, body, _ := h.get(t, h.url+"/login/start"); status != http.StatusOK {
		t.Errorf("a login after the provider's new key: %d %.300s", status, body)
	}
}

func TestTheProviderIsAway(t *testing.T) {
	i := issuer(t)
	away := true
	h := open(t, i, func(o *login.Options) {
		o.Client = &http.Client{Transport: trip(func(r *http.Request) (*http.Response, error) {
			if away {
				return nil, http.ErrServerClosed
			}
			return http.DefaultTransport.RoundTrip(r)
		})}
	})
	if status, body, _ := h.get(t, h.url+"/login/start"); status != http.StatusBadGateway || !strings.Contains(body, "does not answer") {
		t.Errorf("%d: %s", status, body)
	}
	away = false
	if status, _, path := h.get(t, h.url+"/login/start"); status != http.StatusOK || path != "/" {
		t.Errorf("after it came back: %d at %s", status, path)
	}
}

type trip func(*http.Request) (*http.Response, error)

func (t trip) RoundTrip(r *http.Request) (*http.Response, error) { return t(r) }

// TestNobodyIsSentAway keeps a login from leading to another site.
func TestNobodyIsSentAway(t *testing.T) {
	for _, to := range []string{"https://evil.example/", "//evil.example/", `/\evil.example`, "javascript:alert(1)", ""} {
		h := open(t, issuer(t))
		if status, _, path := h.get(t, h.url+"/login/start?"+url.Values{"to": {to}}.Encode()); status != http.StatusOK || path != "/" {
			t.Errorf("%q leads to %d %s", to, status, path)
		}
	}
}

func TestOwnKeys(t *testing.T) {
	path := filepath.Join(t.TempDir(), "session.key")
	first, err := login.OwnKeys(path)
	if err != nil || len(first) != 1 || len(first[0]) < 32 {
		t.Fatalf("%q, %v", first, err)
	}
	if again, err := login.OwnKeys(path); err != nil || !slices.Equal(again, first) {
		t.Errorf("a second time %q, %v", again, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if _, err := login.New(login.Options{Keys: []string{"short"}}); err == nil {
		t.Error("a short key is taken")
	}
	if _, err := login.New(login.Options{}); err == nil {
		t.Error("no key is taken")
	}
}

func TestClientTrustsWhomItIsTold(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{"": true, file: false, file + "x": false} {
		if _, err := login.Client(path); (err == nil) != want {
			t.Errorf("%q: %v", path, err)
		}
	}
}
