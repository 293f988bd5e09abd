package daemon_test

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"neurotriage/config"
)

func TestVisitorsOfAProxy(t *testing.T) {
	h := newHouse(t)
	h.cfg.HTTP.Access = config.HTTPAccess{
		UserHeader: "X-Remote-User", GroupHeader: "X-Remote-Groups", Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")},
		Viewers: []string{"vera", "@radiology"}, Readers: []string{"roe"}, Admins: []string{"@pacs"},
	}
	d := h.start(&runner{})
	cases := []struct {
		name, path string
		header     http.Header
		want       int
	}{
		{"nobody", "", nil, 401},
		{"nobody asks for the studies", "v1/studies", nil, 401},
		{"nobody asks for health", "healthz", nil, 200},
		{"an empty name", "", http.Header{"X-Remote-User": {" "}}, 401},
		{"two names", "", http.Header{"X-Remote-User": {"roe", "eve"}}, 401},
		{"a stranger", "", http.Header{"X-Remote-User": {"eve"}}, 403},
		{"a stranger asks for the studies", "v1/studies", http.Header{"X-Remote-User": {"eve"}}, 403},
		{"a viewer", "", http.Header{"X-Remote-User": {"vera"}}, 200},
		{"a viewer asks for the studies", "v1/studies", http.Header{"X-Remote-User": {"vera"}}, 200},
		{"a viewer by group", "", http.Header{"X-Remote-User": {"x"}, "X-Remote-Groups": {"staff, radiology"}}, 200},
		{"a name is no group", "", http.Header{"X-Remote-User": {"@radiology"}}, 403},
		{"a viewer exports", "assessments.csv", http.Header{"X-Remote-User": {"vera"}}, 403},
		{"a reader exports", "assessments.csv", http.Header{"X-Remote-User": {"roe"}}, 200},
		{"a reader runs", "operations", http.Header{"X-Remote-User": {"roe"}}, 403},
		{"an admin by group runs", "operations", http.Header{"X-Remote-User": {"ada"}, "X-Remote-Groups": {"pacs"}}, 200},
	}
	for _, c := range cases {
		if got := ask(t, d.Addresses().HTTP+c.path, c.header); got != c.want {
			t.Errorf("%s: status %d, want %d", c.name, got, c.want)
		}
	}
	if log := h.log.String(); !strings.Contains(log, `act="see operations" allowed=false user=roe`) || !strings.Contains(log, `act="see operations" allowed=true user=ada role=admin`) {
		t.Errorf("the log book lacks who saw operations:\n%s", log)
	}
}

func TestAHeaderFromElsewhereIsNotBelieved(t *testing.T) {
	h := newHouse(t)
	h.cfg.HTTP.Access = config.HTTPAccess{
		UserHeader: "X-Remote-User", Proxies: []netip.Prefix{netip.MustParsePrefix("10.1.2.3/32")}, Admins: []string{"*"},
	}
	d := h.start(&runner{})
	if got := ask(t, d.Addresses().HTTP, http.Header{"X-Remote-User": {"ada"}}); got != http.StatusUnauthorized {
		t.Errorf("status %d, want 401: this machine is not the proxy", got)
	}
}

func ask(t *testing.T, url string, header http.Header) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range header {
		request.Header[name] = values
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	return answer.StatusCode
}
