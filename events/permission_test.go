package events_test

import (
	"bytes"
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"neurotriage"
	"neurotriage/events"
	"neurotriage/internal/kit"
)

// documented reads the permissions of a role out of docs/EVENTS.md, so that the
// page cannot differ from what suffices.
func documented(t *testing.T, role string) *server.Permissions {
	t.Helper()
	page, err := os.ReadFile("../docs/EVENTS.md")
	must(t, "reading the page", err)
	block := regexp.MustCompile("(?s)```conf " + role + "\n(.*?)```").FindSubmatch(page)
	if block == nil {
		t.Fatalf("docs/EVENTS.md has no block of permissions for %s", role)
	}
	p := &server.Permissions{Publish: &server.SubjectPermission{}, Subscribe: &server.SubjectPermission{}}
	into := &p.Publish.Allow
	for line := range bytes.Lines(block[1]) {
		text := strings.TrimSpace(string(line))
		switch {
		case strings.HasPrefix(text, "publish"):
			into = &p.Publish.Allow
		case strings.HasPrefix(text, "subscribe"):
			into = &p.Subscribe.Allow
		}
		for _, quoted := range regexp.MustCompile(`"([^"]+)"`).FindAllStringSubmatch(text, -1) {
			*into = append(*into, quoted[1])
		}
	}
	if len(p.Publish.Allow) < 3 || len(p.Subscribe.Allow) < 1 {
		t.Fatalf("permissions of %s: %+v %+v", role, p.Publish, p.Subscribe)
	}
	return p
}

func without(list []string, one string) (rest []string) {
	for _, s := range list {
		if s != one {
			rest = append(rest, s)
		}
	}
	return rest
}

func limited(permissions ...*server.Permissions) func(*server.Options) {
	return func(o *server.Options) {
		o.Users = []*server.User{{Username: "admin", Password: "secret"}}
		for i, p := range permissions {
			o.Users = append(o.Users, &server.User{Username: "user" + string(rune('0'+i)), Password: "secret", Permissions: p})
		}
	}
}

func as(user string) func(*events.Options) {
	return func(o *events.Options) { o.User, o.Password, o.CallTimeout = user, "secret", 2*time.Second }
}

func TestTheDocumentedPermissionsSuffice(t *testing.T) {
	server := kit.NATS(t, limited(documented(t, "daemon"), documented(t, "client")))
	_, js := server.Client(t, nats.UserInfo("admin", "secret"))
	daemon := daemonBus(t, server, as("user0"), func(o *events.Options) {
		o.ScanEvery, o.HeartbeatGap, o.OverdueAfter = 10*time.Millisecond, 10*time.Millisecond, time.Nanosecond
	})
	must(t, "start", daemon.Start(t.Context(), func() any { return "fine" }))
	client := clientBus(t, server, as("user1"))

	// The whole of what a client does.
	where, err := client.Upload(t.Context(), strings.NewReader("zip"), "a.zip")
	must(t, "upload", err)
	asked := study(uid)
	asked.Location = where
	job, err := client.Submit(t.Context(), asked)
	must(t, "submit", err)
	waited := make(chan error, 1)
	go func() {
		waited <- client.WaitFor(t.Context(), []neurotriage.Job{job}, func(neurotriage.Job, neurotriage.Finding) {})
	}()
	// The whole of what a daemon does.
	got, refusal := next(t, daemon)
	if refusal != nil {
		t.Fatal(refusal)
	}
	var zip bytes.Buffer
	_, err = daemon.Fetch(t.Context(), got.Location.Bucket, got.Location.Name, &zip, 100)
	if err != nil || zip.String() != "zip" {
		t.Errorf("fetch: %q, %v", zip.String(), err)
	}
	must(t, "work", work(t.Context(), daemon, got, reading(uid, "a", true)))
	must(t, "wait", <-waited)
	submit(t, client, uid)
	got, _ = next(t, daemon)
	for range events.MaxDeliver - 1 { // until the server gives up
		must(t, "hand back", daemon.Inbox().HandBack(t.Context(), got, 0, "", false))
		got, _ = next(t, daemon)
	}
	must(t, "hand back", daemon.Inbox().HandBack(t.Context(), got, 0, "", false))
	got, _ = next(t, daemon)
	cause := neurotriage.Refuse(neurotriage.NotDICOM, "none")
	must(t, "refuse", daemon.Outlet().Refuse(t.Context(), got, refusedReading(got, cause.Reason), cause))
	must(t, "terminate", daemon.Inbox().Terminate(t.Context(), got, "none"))
	letters, err := client.DeadLetters(t.Context())
	if err != nil || len(letters) != 1 {
		t.Fatalf("dead letters %v, %v", letters, err)
	}
	_, err = client.Replay(t.Context(), letters[0])
	must(t, "replay", err)
	if _, err := client.Worklist(t.Context()); err != nil {
		t.Errorf("worklist: %v", err)
	}
	if _, err := daemon.Rebuild(t.Context()); err != nil {
		t.Errorf("rebuild: %v", err)
	}
	must(t, "media", client.Media(t.Context(), reading(uid, "a", true).Finding.ID, "slices.json", &zip))
	kit.Until(t, "an overdue alert", func() bool {
		subjects, _ := stored(t, js, "TRIAGE")
		return count(subjects, "triage.alert.overdue.") > 0
	})
	for name, bus := range map[string]*events.Bus{"daemon": daemon, "client": client} {
		if h := bus.Health(); len(h.Denied) != 0 || h.Err() != nil {
			t.Errorf("%s: %+v", name, h)
		}
	}
}

func TestAMissingPermissionIsNamed(t *testing.T) {
	cases := []struct{ name, subject, operation, call string }{
		{"jetstream itself", "$JS.API.INFO", "publish", "connect"},
		{"making a stream", "$JS.API.STREAM.CREATE.*", "publish", "prepare"},
		{"the consumer", "$JS.API.CONSUMER.CREATE.>", "publish", "prepare"},
		{"pulling", "$JS.API.CONSUMER.MSG.NEXT.>", "publish", "next"},
		{"findings", "triage.finding.>", "publish", "deliver"},
		{"alerts", "triage.alert.>", "publish", "deliver"},
		{"the worklist", "$KV.triage_worklist.>", "publish", "next"},
		{"settling", "$JS.ACK.>", "publish", "ack"},
		{"advisories", "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>", "subscribe", "start"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel() // each waits for timeouts
			p := documented(t, "daemon")
			before := len(p.Publish.Allow) + len(p.Subscribe.Allow)
			p.Publish.Allow, p.Subscribe.Allow = without(p.Publish.Allow, c.subject), without(p.Subscribe.Allow, c.subject)
			if len(p.Publish.Allow)+len(p.Subscribe.Allow) == before {
				t.Fatalf("%s is not among the documented permissions", c.subject)
			}
			server := kit.NATS(t, limited(p, documented(t, "daemon")))
			call, err := firstFailure(t, server)
			var denied *events.PermissionError
			if call != c.call || !errors.As(err, &denied) || denied.Operation != c.operation ||
				!events.Covered([]string{c.subject}, denied.Subject) || !errors.Is(err, neurotriage.ErrSurroundings) {
				t.Errorf("%s: %v", call, err)
			}
		})
	}
}

// firstFailure does a daemon's work as user0 until something fails.
func firstFailure(t *testing.T, server *kit.NATSServer) (string, error) {
	options := events.Options{URL: server.URL}
	as("user0")(&options)
	bus, err := events.Connect(t.Context(), options)
	if err != nil {
		return "connect", err
	}
	t.Cleanup(bus.Close)
	if err := bus.Prepare(t.Context()); err != nil {
		return "prepare", err
	}
	if err := bus.Start(t.Context(), func() any { return nil }); err != nil {
		return "start", err
	}
	submit(t, clientBus(t, server, as("user1")), uid)
	var job neurotriage.Job
	for job.EventID == "" {
		if job, err = bus.Inbox().Next(t.Context()); err != nil {
			return "next", err
		}
	}
	if err := bus.Outlet().Deliver(t.Context(), job, reading(uid, "a", true)); err != nil {
		return "deliver", err
	}
	return "ack", bus.Inbox().Ack(t.Context(), job)
}

func TestWrongCredentialsAreSaidAtOnceAndNotShown(t *testing.T) {
	server := kit.NATS(t, limited())
	at := strings.Replace(server.URL, "nats://", "nats://admin:hunter2@", 1)
	_, err := events.Connect(t.Context(), events.Options{URL: at})
	if !errors.Is(err, neurotriage.ErrSurroundings) || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("connect: %v", err)
	}
}

func TestAServerWithoutJetStreamIsSaid(t *testing.T) {
	server := kit.NATS(t, func(o *server.Options) { o.JetStream = false })
	_, err := events.Connect(t.Context(), events.Options{URL: server.URL})
	if err == nil || !strings.Contains(err.Error(), "has no jetstream") {
		t.Errorf("connect: %v", err)
	}
}
