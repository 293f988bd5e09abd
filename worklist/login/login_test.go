package login_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"neurotriage"
	"neurotriage/internal/kit"
	"neurotriage/worklist"
	"neurotriage/worklist/login"
)

// shelf is a store without studies.
type shelf struct{}

func (shelf) Entries(context.Context) ([]worklist.Entry, error) { return nil, nil }
func (shelf) Finding(context.Context, string) (neurotriage.Finding, error) {
	return neurotriage.Finding{}, worklist.ErrNotFound
}
func (shelf) Media(context.Context, string, string) ([]byte, error) { return nil, worklist.ErrNotFound }

var (
	oneKey   = strings.Repeat("k1", 20)
	otherKey = strings.Repeat("k2", 20)
)

// house is a board behind a login, with a browser that keeps cookies.
type house struct {
	issuer *kit.Issuer
	gate   *login.Gate
	url    string
	client *http.Client
	now    time.Time
	log    *strings.Builder
}

func open(t *testing.T, issuer *kit.Issuer, change ...func(*login.Options)) *house {
	t.Helper()
	h := &house{issuer: issuer, now: time.Now(), log: &strings.Builder{}}
	var board http.Handler
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { board.ServeHTTP(w, r) }))
	t.Cleanup(server.Close)
	h.url = server.URL
	options := login.Options{
		Issuer: issuer.URL, ClientID: issuer.ClientID, ClientSecret: issuer.Secret, RedirectURL: h.url + "/login/callback",
		UserClaim: "preferred_username", RoleClaim: "groups", Groups: []string{"radiology", "pacs"}, Keys: []string{oneKey},
		Lifetime: time.Hour, Now: func() time.Time { return h.now }, Role: roleOf,
	}
	for _, fn := range change {
		fn(&options)
	}
	var err error
	if h.gate, err = login.New(options); err != nil {
		t.Fatal(err)
	}
	pages, err := worklist.New(shelf{}, nil, worklist.Options{
		Visitor: h.gate.Visitor, Login: h.gate, Logger: slog.New(slog.NewTextHandler(h.log, nil)), Now: func() time.Time { return h.now },
	})
	if err != nil {
		t.Fatal(err)
	}
	board = pages.Handler()
	h.client = &http.Client{}
	if h.client.Jar, err = cookiejar.New(nil); err != nil {
		t.Fatal(err)
	}
	return h
}

func roleOf(name string, groups []string) worklist.Role {
	switch {
	case slices.Contains(groups, "pacs"):
		return worklist.Admin
	case slices.Contains(groups, "radiology"):
		return worklist.Reader
	case name == "nobody":
		return 0
	}
	return worklist.Viewer
}

// get opens a page as a person does, and follows where it leads.
func (h *house) get(t *testing.T, address string) (status int, body, path string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept", "text/html")
	return h.do(t, request)
}

func (h *house) do(t *testing.T, request *http.Request) (status int, body, path string) {
	t.Helper()
	answer, err := h.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(text), answer.Request.URL.RequestURI()
}

// stay makes the browser stop at redirects, and gives the next one's address.
func (h *house) stay(t *testing.T, address string) string {
	t.Helper()
	follow := h.client.CheckRedirect
	h.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	defer func() { h.client.CheckRedirect = follow }()
	answer, err := h.client.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	return answer.Header.Get("Location")
}

func (h *house) cookies() string {
	at, _ := url.Parse(h.url)
	var names []string
	for _, c := range h.client.Jar.Cookies(at) {
		names = append(names, c.Name)
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

func issuer(t *testing.T) *kit.Issuer {
	i := kit.NewIssuer(t, "neurotriage", "hush")
	i.Claims = map[string]any{"preferred_username": "roe", "groups": []string{"staff", "radiology"}}
	return i
}

var formToken = regexp.MustCompile(`name="token" value="([A-Z0-9]+)"`)

func TestLoginAndOut(t *testing.T) {
	h := open(t, issuer(t))
	status, body, path := h.get(t, h.url+"/?show=waiting")
	if status != http.StatusOK || path != "/login?to=%2F%3Fshow%3Dwaiting" || !strings.Contains(body, `href="/login/start?to=%2F%3Fshow%3Dwaiting"`) {
		t.Fatalf("who is not logged in gets %d at %s: %s", status, path, body)
	}
	if strings.Contains(body, "Keyboard") || strings.Contains(body, "<table") {
		t.Error("the login page shows more than a login")
	}
	status, body, path = h.get(t, h.url+"/login/start?to=%2F%3Fshow%3Dwaiting")
	if status != http.StatusOK || path != "/?show=waiting" || !strings.Contains(body, `<span class="who">roe</span>`) {
		t.Fatalf("after the login %d at %s: %.600s", status, path, body)
	}
	at, _ := url.Parse(h.url)
	kept := h.client.Jar.Cookies(at) // as a thief would have them
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.url+"/logout", strings.NewReader("token="+formToken.FindStringSubmatch(body)[1]))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if status, body, _ := h.do(t, request); status != http.StatusOK || !strings.Contains(body, "You are logged out") || !strings.Contains(body, h.issuer.URL+"/logout?client_id=neurotriage") {
		t.Errorf("logging out: %d %s", status, body)
	}
	if _, _, path := h.get(t, h.url+"/"); path != "/login?to=%2F" {
		t.Errorf("after the logout the list leads to %s", path)
	}
	h.client.Jar.SetCookies(at, kept)
	if _, _, path := h.get(t, h.url+"/"); path != "/login?to=%2F" {
		t.Errorf("a copy of the cookies is still good after the logout: %s", path)
	}
	h.stay(t, h.stay(t, h.url+"/login/start?again=yes"))
	if got := h.issuer.Prompts; !slices.Equal(got, []string{"", "login"}) {
		t.Errorf("the provider was asked %q, want a login anew the second time", got)
	}
	for _, want := range []string{`act="log in" allowed=true user=roe role=reader`, `act="log out" allowed=true user=roe`} {
		if !strings.Contains(h.log.String(), want) {
			t.Errorf("the log book lacks %s:\n%s", want, h.log)
		}
	}
}

func TestLogoutNeedsOurForm(t *testing.T) {
	h := open(t, issuer(t))
	h.get(t, h.url+"/login/start")
	answer, err := h.client.PostForm(h.url+"/logout", nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if _, _, path := h.get(t, h.url+"/"); answer.StatusCode != http.StatusForbidden || path != "/" {
		t.Errorf("a form without a token is answered %d and leads to %s", answer.StatusCode, path)
	}
}

func TestTokensThatAreRefused(t *testing.T) {
	i := issuer(t)
	h := open(t, i)
	set := func(name string, value any) func(header, claims map[string]any) {
		return func(_, claims map[string]any) { claims[name] = value }
	}
	cases := []struct {
		name  string
		spoil func(header, claims map[string]any)
		ok    bool
	}{
		{"as it should be", nil, true},
		{"for two, and this is the party", func(_, c map[string]any) { c["aud"], c["azp"] = []string{"other", "neurotriage"}, "neurotriage" }, true},
		{"another nonce", set("nonce", "n"), false},
		{"no nonce", func(_, c map[string]any) { delete(c, "nonce") }, false},
		{"another audience", set("aud", "other"), false},
		{"for two, and no party named", set("aud", []string{"other", "neurotriage"}), false},
		{"another party", set("azp", "other"), false},
		{"another issuer", set("iss", "https://evil.example"), false},
		{"expired", set("exp", time.Now().Add(-time.Hour).Unix()), false},
		{"not valid yet", set("nbf", time.Now().Add(time.Hour).Unix()), false},
		{"nobody's", set("sub", ""), false},
		{"another access token's", set("at_hash", "AAAAAAAAAAAAAAAAAAAAAA"), false},
		{"algorithm none", func(header, _ map[string]any) { header["alg"] = "none" }, false},
		{"signed with the public key", func(header, _ map[string]any) { header["alg"] = "HS256" }, false},
		{"an unknown key", func(header, _ map[string]any) { header["kid"] = "who" }, false},
		{"no name", func(_, c map[string]any) { delete(c, "preferred_username") }, false},
		{"a name of a megabyte", set("preferred_username", strings.Repeat("x", 1<<20)), false},
		{"a name that is a list", set("preferred_username", []string{"roe"}), false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			i.Set(func(i *kit.Issuer) { i.Spoil = c.spoil })
			h.client.Jar, _ = cookiejar.New(nil)
			status, body, _ := h.get(t, h.url+"/login/start")
			if c.ok != (status == http.StatusOK) || c.ok != strings.Contains(h.cookies(), "neurotriage_session") {
				t.Errorf("status %d, cookies %q: %.300s", status, h.cookies(), body)
			}
			if !c.ok && (status != http.StatusForbidden || !strings.Contains(body, "did not succeed")) {
				t.Errorf("status %d: %.300s", status, body)
			}
		})
	}
}

func TestAnswersThatAreRefused(t *testing.T) {
	h := open(t, issuer(t))
	begin := func() string { return h.stay(t, h.stay(t, h.url+"/login/start")) } // the way back, not yet gone
	cases := []struct {
		name   string
		change func(back string) string
	}{
		{"another state", func(back string) string { return regexp.MustCompile(`state=\w+`).ReplaceAllString(back, "state=S") }},
		{"no state", func(back string) string { return regexp.MustCompile(`&state=\w+`).ReplaceAllString(back, "") }},
		{"another code", func(back string) string { return regexp.MustCompile(`code=\w+`).ReplaceAllString(back, "code=C") }},
		{"another issuer's", func(back string) string { return back + "&iss=https%3A%2F%2Fevil.example" }},
		{"the provider refused", func(back string) string {
			return regexp.MustCompile(`code=\w+`).ReplaceAllString(back, "error=access_denied")
		}},
		{"another browser's", func(back string) string { h.client.Jar, _ = cookiejar.New(nil); return back }},
		{"an old one", func(back string) string { h.now = h.now.Add(11 * time.Minute); return back }},
		{"a second time", func(back string) string {
			if status, _, _ := h.get(t, back); status != http.StatusOK {
				t.Errorf("the first time is answered %d", status)
			}
			h.client.Jar, _ = cookiejar.New(nil)
			return back
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			h.now = time.Now()
			h.client.Jar, _ = cookiejar.New(nil)
			status, _, _ := h.get(t, c.change(begin()))
			if status != http.StatusForbidden || strings.Contains(h.cookies(), "session") || strings.Contains(h.cookies(), "attempt") {
				t.Errorf("status %d, cookies %q", status, h.cookies())
			}
		})
	}
}
