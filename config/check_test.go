package config_test

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"neurotriage/config"
)

// TestCheck starts from the defaults, which are right, and breaks one thing.
func TestCheck(t *testing.T) {
	beyond := func(c *config.Config) { c.HTTP.Listen = "0.0.0.0:8470" }
	natsBeyond := func(c *config.Config) { c.NATS.Embedded.Listen = ":4222" }
	tls := config.ServerTLS{Cert: "/c", Key: "/k"}
	withCA := config.ServerTLS{Cert: "/c", Key: "/k", ClientCA: "/ca"}
	prefixes := func(texts ...string) (list []netip.Prefix) {
		for _, text := range texts {
			list = append(list, netip.MustParsePrefix(text))
		}
		return list
	}
	cases := []struct {
		name  string
		set   []func(*config.Config)
		wants []string // key and part of its complaint, one for each; none: right
	}{
		{"defaults", nil, nil},
		{"http beyond loopback", set(beyond), []string{"http.listen = \"0.0.0.0:8470\": listens beyond loopback"}},
		{"http on every address", set(func(c *config.Config) { c.HTTP.Listen = ":8470" }), []string{"http.listen"}},
		{"http on a name", set(func(c *config.Config) { c.HTTP.Listen = "pacs.example.org:80" }), []string{"http.listen"}},
		{"http on ipv6", set(func(c *config.Config) { c.HTTP.Listen = "[2001:db8::1]:80" }), []string{"http.listen"}},
		{"ipv6 loopback", set(func(c *config.Config) { c.HTTP.Listen = "[::1]:80" }), nil},
		{"mapped loopback", set(func(c *config.Config) { c.HTTP.Listen = "[::ffff:127.0.0.1]:80" }), nil},
		{"localhost", set(func(c *config.Config) { c.HTTP.Listen = "localhost:0" }), nil},
		{"all of 127/8 is loopback", set(func(c *config.Config) { c.HTTP.Listen = "127.9.9.9:0" }), nil},
		{"tls alone does not ask who", set(beyond, func(c *config.Config) { c.HTTP.TLS = tls }), []string{"http.listen"}},
		{"authentication alone can be overheard", set(beyond, func(c *config.Config) { c.HTTP.Auth.TokenFile = "/t" }), []string{"http.listen"}},
		{"tls and token", set(beyond, func(c *config.Config) { c.HTTP.TLS, c.HTTP.Auth.TokenFile = tls, "/t" }), nil},
		{"tls and password", set(beyond, func(c *config.Config) {
			c.HTTP.TLS, c.HTTP.Auth = tls, config.HTTPAuth{User: "u", PasswordFile: "/p"}
		}), nil},
		{"client certificates", set(beyond, func(c *config.Config) { c.HTTP.TLS = withCA }), nil},
		{"allow-list", set(beyond, func(c *config.Config) { c.HTTP.Allow = prefixes("10.0.0.0/8") }), nil},
		{"allow-list for everybody", set(beyond, func(c *config.Config) { c.HTTP.Allow = prefixes("10.0.0.0/8", "::/0") }), []string{"http.listen"}},
		{"override by name", set(beyond, func(c *config.Config) { c.Insecure.ListenBeyondLoopback = []string{"http"} }), nil},
		{"override of another", set(beyond, func(c *config.Config) { c.Insecure.ListenBeyondLoopback = []string{"nats.embedded"} }), []string{"http.listen"}},
		{"override of nobody", set(func(c *config.Config) { c.Insecure.ListenBeyondLoopback = []string{"ftp"} }),
			[]string{`insecure.listen_beyond_loopback = "ftp": allowed is one of http, nats.embedded`}},
		{"override twice", set(func(c *config.Config) { c.Insecure.ListenBeyondLoopback = []string{"http", "http"} }), []string{"insecure.listen_beyond_loopback"}},
		{"visitors by header", set(func(c *config.Config) {
			c.HTTP.Access.UserHeader, c.HTTP.Access.Proxies, c.HTTP.Viewer = "X-Remote-User", prefixes("127.0.0.1/32"), "https://pacs/{study}"
		}), nil},
		{"visitors by anybody's header", set(func(c *config.Config) { c.HTTP.Access.UserHeader = "X-Remote-User" }),
			[]string{"http.access.user_header = \"X-Remote-User\": needs http.access.proxies"}},
		{"visitors by everybody's header", set(func(c *config.Config) {
			c.HTTP.Access.UserHeader, c.HTTP.Access.Proxies = "X-Remote-User", prefixes("0.0.0.0/0")
		}), []string{"http.access.user_header"}},
		{"roles of nobody", set(func(c *config.Config) { c.HTTP.Access.Admins = []string{"roe"} }), []string{"http.access.user_header"}},
		{"a header that is none", set(func(c *config.Config) {
			c.HTTP.Access.UserHeader, c.HTTP.Access.Proxies = "X Remote", prefixes("127.0.0.1/32")
		}), []string{"http.access.user_header"}},
		{"a viewer by script", set(func(c *config.Config) { c.HTTP.Viewer = "javascript:alert('{study}')" }), []string{"http.viewer"}},
		{"a viewer without a study", set(func(c *config.Config) { c.HTTP.Viewer = "https://pacs/" }), []string{"http.viewer"}},
		{"no port", set(func(c *config.Config) { c.HTTP.Listen = "127.0.0.1" }), []string{"http.listen = \"127.0.0.1\": allowed is host:port"}},
		{"port too large", set(func(c *config.Config) { c.HTTP.Listen = "127.0.0.1:65536" }), []string{"http.listen"}},
		{"port by name", set(func(c *config.Config) { c.HTTP.Listen = "127.0.0.1:http" }), []string{"http.listen"}},

		{"embedded beyond loopback", set(natsBeyond), []string{"nats.embedded.listen = \":4222\": listens beyond loopback"}},
		{"embedded with tls alone", set(natsBeyond, func(c *config.Config) { c.NATS.Embedded.TLS = tls }), []string{"nats.embedded.listen"}},
		{"embedded with token alone", set(natsBeyond, func(c *config.Config) { c.NATS.Token = "t" }), []string{"nats.embedded.listen"}},
		{"embedded with tls and token", set(natsBeyond, func(c *config.Config) { c.NATS.Embedded.TLS, c.NATS.Token = tls, "t" }), nil},
		{"embedded with tls and user", set(natsBeyond, func(c *config.Config) {
			c.NATS.Embedded.TLS, c.NATS.User, c.NATS.PasswordFile = tls, "u", "/p"
		}), nil},
		{"embedded with client certificates", set(natsBeyond, func(c *config.Config) { c.NATS.Embedded.TLS = withCA }), nil},
		{"embedded is not started with a url", set(natsBeyond, func(c *config.Config) { c.NATS.URL = "nats://n:4222" }), nil},
		{"embedded override", set(natsBeyond, func(c *config.Config) { c.Insecure.ListenBeyondLoopback = []string{"nats.embedded"} }), nil},

		{"cluster", set(func(c *config.Config) { c.NATS.URL = "nats://a:4222, tls://b:4222,wss://c" }), nil},
		{"url without scheme", set(func(c *config.Config) { c.NATS.URL = "nats.example.org:4222" }), []string{"nats.url = \"nats.example.org:4222\": allowed are addresses"}},
		{"url of the web", set(func(c *config.Config) { c.NATS.URL = "https://nats:4222" }), []string{"nats.url"}},
		{"url with a hole", set(func(c *config.Config) { c.NATS.URL = "nats://a:4222,,nats://b" }), []string{"nats.url"}},
		{"complaint hides the password", set(func(c *config.Config) { c.NATS.URL = "http://u:hush@h" }), []string{`nats.url = "http://********@h"`}},
		{"prefix", set(func(c *config.Config) { c.NATS.Prefix = "site-1_a" }), nil},
		{"prefix with a dot", set(func(c *config.Config) { c.NATS.Prefix = "site.1" }), []string{"nats.prefix"}},
		{"prefix with capitals", set(func(c *config.Config) { c.NATS.Prefix = "Site" }), []string{"nats.prefix"}},
		{"certificate without key", set(func(c *config.Config) { c.NATS.TLS.Cert = "/c" }), []string{"nats.tls.cert = \"/c\": needs nats.tls.key too"}},
		{"key without certificate", set(func(c *config.Config) { c.HTTP.TLS.Key = "/k" }), []string{"http.tls.cert: missing, and http.tls.key needs it"}},
		{"client ca without certificate", set(func(c *config.Config) { c.HTTP.TLS.ClientCA = "/ca" }), []string{"http.tls.client_ca"}},
		{"user without password", set(func(c *config.Config) { c.NATS.User = "u" }), []string{"nats.user = \"u\": needs nats.password_file too"}},
		{"password without user", set(func(c *config.Config) { c.NATS.Password = "hush" }), []string{"nats.user: missing"}},
		{"password twice", set(func(c *config.Config) { c.NATS.User, c.NATS.Password, c.NATS.PasswordFile = "u", "hush", "/p" }),
			[]string{"nats.password_file = \"/p\": allowed is one of"}},
		{"token twice", set(func(c *config.Config) { c.NATS.Token, c.NATS.TokenFile = "hush", "/t" }), []string{"nats.token_file"}},
		{"two ways in", set(func(c *config.Config) { c.NATS.URL, c.NATS.Creds, c.NATS.NKey = "nats://n", "/c", "/n" }),
			[]string{"nats: allowed is one of creds, nkey, user and token; 2 are set"}},
		{"creds for the embedded server", set(func(c *config.Config) { c.NATS.Creds = "/c" }), []string{"nats: creds and nkey need nats.url"}},
		{"page user without password", set(func(c *config.Config) { c.HTTP.Auth.User = "u" }), []string{"http.auth.user"}},

		{"roots", set(func(c *config.Config) { c.Roots = map[string]string{"In-1.5_T": "/srv/in"} }), nil},
		{"root is everything", set(func(c *config.Config) { c.Roots = map[string]string{"a": "/srv/.."} }), []string{`roots.a = "/srv/.."`}},
		{"root is relative", set(func(c *config.Config) { c.Roots = map[string]string{"a": "srv"} }), []string{`roots.a = "srv"`}},
		{"root is nowhere", set(func(c *config.Config) { c.Roots = map[string]string{"a": ""} }), []string{`roots.a:`}},
		{"root's name has a slash", set(func(c *config.Config) { c.Roots = map[string]string{"a/b": "/srv"} }), []string{`roots.a/b`}},
		{"root's name is empty", set(func(c *config.Config) { c.Roots = map[string]string{"": "/srv"} }), []string{`roots.`}},
		{"two wrong roots in order", set(func(c *config.Config) { c.Roots = map[string]string{"b": "", "a": ""} }), []string{`roots.a`, `roots.b`}},
		{"tilde", set(func(c *config.Config) { c.Model.File = "~/m.onnx" }), []string{`model.file = "~/m.onnx": allowed is a path without ~`}},

		{"archive", set(func(c *config.Config) { c.DICOMweb.Allow = []string{"https://p/dicom-web/"} }), nil},
		{"archive without slash", set(func(c *config.Config) { c.DICOMweb.Allow = []string{"https://p/dicom-web"} }), []string{"dicomweb.allow"}},
		{"archive's host alone", set(func(c *config.Config) { c.DICOMweb.Allow = []string{"https://p"} }), []string{"dicomweb.allow"}},
		{"archive without scheme", set(func(c *config.Config) { c.DICOMweb.Allow = []string{"p/dicom-web/"} }), []string{"dicomweb.allow"}},
		{"archive with user", set(func(c *config.Config) { c.DICOMweb.Allow = []string{"https://u:p@p/"} }), []string{"dicomweb.allow"}},

		{"no provider", set(func(c *config.Config) { c.ONNXRuntime.Providers = nil }), []string{"onnxruntime.providers: allowed is at least one"}},
		{"provider twice", set(func(c *config.Config) { c.ONNXRuntime.Providers = []string{"cpu", "cuda", "cpu"} }), []string{"onnxruntime.providers"}},
		{"file larger than study", set(func(c *config.Config) { c.Limits.FileBytes = c.Limits.StudyBytes + 1 }), []string{"limits.file_bytes"}},
		{"no state", set(func(c *config.Config) { c.StateDir = "" }), []string{"state_dir: needed"}},
		{"values that Load never saw", set(func(c *config.Config) { c.Log.Level, c.Work.MaxAttempts = "x", -1 }), []string{"log.level", "work.max_attempts"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			broken := config.Default()
			broken.StateDir = "/var/lib/neurotriage"
			for _, change := range c.set {
				change(&broken)
			}
			got := complaints(t, broken.Check())
			if len(got) != len(c.wants) {
				t.Fatalf("complaints %q, want %q", got, c.wants)
			}
			for i, want := range c.wants {
				if !strings.HasPrefix(got[i], want) {
					t.Errorf("complaint %q, want %q…", got[i], want)
				}
				if strings.Contains(got[i], "hush") {
					t.Errorf("complaint shows a secret: %q", got[i])
				}
			}
		})
	}
}

func set(changes ...func(*config.Config)) []func(*config.Config) { return changes }

func complaints(t *testing.T, err error) []string {
	t.Helper()
	if err == nil {
		return nil
	}
	var fault *config.FaultError
	if !errors.As(err, &fault) {
		t.Fatalf("error %v, want a *FaultError", err)
	}
	texts := make([]string, len(fault.Complaints))
	for i, complaint := range fault.Complaints {
		texts[i] = complaint.String()
	}
	return texts
}

func TestCheckFiles(t *testing.T) {
	folder := t.TempDir()
	good := filepath.Join(folder, "good")
	if err := os.WriteFile(good, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name, path, want string
	}{
		{"none", "", ""},
		{"there", good, ""},
		{"missing", filepath.Join(folder, "missing"), "file cannot be read: no such file or directory"},
		{"folder", folder, "file cannot be read: not a regular file"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			named := config.Default()
			named.HTTP.TLS.Cert, named.Model.File = c.path, c.path
			got := complaints(t, named.CheckFiles())
			if c.want == "" && len(got) == 0 {
				return
			}
			if len(got) != 2 || !strings.HasPrefix(got[0], "http.tls.cert") || !strings.HasSuffix(got[1], c.want) {
				t.Errorf("complaints %q, want two that end with %q", got, c.want)
			}
		})
	}
}

func TestThreshold(t *testing.T) {
	number := func(f float64) *float64 { return &f }
	cases := []struct {
		name     string
		set      *float64
		accept   bool
		inForce  float64
		warnings int
		fault    string
	}{
		{"the card's", nil, false, 0.17, 0, ""},
		{"the card's, though lower recall were accepted", nil, true, 0.17, 0, ""},
		{"lower", number(0.1), false, 0.1, 0, ""},
		{"zero flags everything", number(0), false, 0, 0, ""},
		{"equal", number(0.17), false, 0.17, 0, ""},
		{"higher", number(0.2), false, 0.17, 0, `model.thresholds.glioma_review = "0.2": above the model card's 0.17`},
		{"higher and accepted", number(0.2), true, 0.2, 1, ""},
	}
	for _, c := range cases {
		model := config.Model{Thresholds: config.Thresholds{GliomaReview: c.set}, AcceptLowerRecall: c.accept}
		inForce, warnings, err := model.Threshold(0.17)
		if inForce != c.inForce || len(warnings) != c.warnings {
			t.Errorf("%s: %v with %q, want %v with %d warnings", c.name, inForce, warnings, c.inForce, c.warnings)
		}
		got := strings.Join(complaints(t, err), "\n")
		if c.fault == "" && got != "" || !strings.HasPrefix(got, c.fault) {
			t.Errorf("%s: fault %q, want %q", c.name, got, c.fault)
		}
		for _, warning := range warnings {
			if !strings.Contains(warning, "0.2") || !strings.Contains(warning, "0.17") {
				t.Errorf("%s: warning %q does not name both thresholds", c.name, warning)
			}
		}
	}
}

func TestSecrets(t *testing.T) {
	folder := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	cases := []struct {
		name, path, want, fault string
	}{
		{"as it stands", file("a", "hush"), "hush", ""},
		{"line end does not count", file("b", "hush\r\n"), "hush", ""},
		{"blanks count", file("c", " hush \n"), " hush ", ""},
		{"empty", file("d", "\n"), "", "is empty"},
		{"missing", filepath.Join(folder, "e"), "", "no such file"},
		{"endless", file("f", strings.Repeat("x", 70_000)), "", "at most 65536 bytes"},
	}
	for _, c := range cases {
		n := config.NATS{User: "u", PasswordFile: c.path, TokenFile: c.path}
		h := config.HTTPAuth{User: "u", PasswordFile: c.path, TokenFile: c.path}
		_, password, err1 := n.Login()
		token, err2 := n.Bearer()
		_, pagePassword, err3 := h.Login()
		pageToken, err4 := h.Bearer()
		for i, err := range []error{err1, err2, err3, err4} {
			secret := []string{password, token, pagePassword, pageToken}[i]
			if c.fault == "" && (err != nil || secret != c.want) {
				t.Errorf("%s: %q, %v; want %q", c.name, secret, err, c.want)
			}
			if c.fault != "" && (err == nil || !strings.Contains(err.Error(), c.fault) || secret != "") {
				t.Errorf("%s: %d bytes, %v; want no secret and %q", c.name, len(secret), err, c.fault)
			}
		}
	}
	if _, password, err := (config.NATS{User: "u", Password: "direct"}).Login(); password != "direct" || err != nil {
		t.Errorf("direct password: %q, %v", password, err)
	}
	if user, password, err := (config.HTTPAuth{}).Login(); user+password != "" || err != nil {
		t.Errorf("no authentication: %q, %q, %v", user, password, err)
	}
}
