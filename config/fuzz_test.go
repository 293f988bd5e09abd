package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"neurotriage/config"
)

// FuzzLoad holds that any file is either loaded or refused with complaints, and
// that what is loaded means the same when shown and loaded again.
func FuzzLoad(f *testing.F) {
	for _, seed := range []string{
		string(config.Sample()), "", "{}", "- 1", "nats: {url: x}", "roots: {a: /b, A.b: c}", "a: &a [*a]",
		"log: &l {level: debug}\nhttp: *l", "model: {thresholds: {glioma_review: .inf}}", "http: {allow: ['::/0', 10.0.0.1]}",
		"limits: {file_bytes: 1e3}", "? [a]\n: b", "work: {overdue_after: 1d1h}", "nats: {user: \"a\\nb\", password: ' '}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 1<<16 {
			return // longer than any configuration
		}
		file := filepath.Join(t.TempDir(), "c.yaml")
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		first, err := config.Load(config.Options{File: file, Env: home})
		if err != nil {
			var fault *config.FaultError
			if !errors.As(err, &fault) || len(fault.Complaints) == 0 {
				t.Fatalf("error %v is no *FaultError", err)
			}
			return
		}
		first.NATS.URL, first.NATS.Password, first.NATS.Token = "", "", "" // are masked
		if first.NATS.User != "" {
			return // would lack its password
		}
		shown, err := first.Show()
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(shown), 0o600); err != nil {
			t.Fatal(err)
		}
		second, err := config.Load(config.Options{File: file})
		if err != nil {
			t.Fatalf("%v in\n%s", err, shown)
		}
		if got, want := exported(second), exported(first); !reflect.DeepEqual(got, want) {
			t.Errorf("got  %+v\nwant %+v\nfrom\n%s", got, want, shown)
		}
	})
}
