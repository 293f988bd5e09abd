package browser_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"neurotriage"
	"neurotriage/config"
	"neurotriage/events"
	"neurotriage/internal/kit"
)

const many = 10_000

// TestTenThousandStudies holds the list to its promises: two daemons show the
// same, and a fresh one shows it at once. How fast is BenchmarkFirstPaint's.
func TestTenThousandStudies(t *testing.T) {
	server := kit.NATS(t)
	shared := func(c *config.Config) { c.NATS.URL = server.URL }
	first := open(t, shared)
	if body := fetch(t, first.url+"/"); !strings.Contains(body, "No study has been announced yet") {
		t.Fatalf("an empty list is %.2000s", body)
	}
	stock(t, server)
	second := open(t, shared)
	body := fetch(t, second.url+"/")
	if !strings.Contains(body, "1 to 50 of 10000 studies") {
		t.Fatalf("a fresh daemon does not show all studies: %.2000s", body)
	}
	if most := 64 << 10; len(body) > most {
		t.Errorf("the first page of many has %d bytes, want at most %d", len(body), most)
	}
	ctx := chrome(t, 1920, 1080)
	do(t, ctx, "open the list", chromedp.Navigate(first.url+"/"), chromedp.WaitVisible("main"))
	until(t, ctx, "the first daemon shows them too, live", `document.querySelector("caption")?.textContent === "1 to 50 of 10000 studies" || document.getElementById("live").className === "bad"`)
	row := func(text string) string {
		return text[strings.Index(text, "<tbody>"):strings.Index(text, "</tbody>")]
	}
	if a, b := row(fetch(t, first.url+"/?page=7")), row(fetch(t, second.url+"/?page=7")); a != b {
		t.Error("two daemons show different lists")
	}
}

// BenchmarkFirstPaint measures what the list costs with many studies beside
// none: the first contentful paint, the paint of the list itself, and how long a
// daemon takes from its start until it shows them. Both pages are loaded in turn,
// so that a busy machine slows both.
func BenchmarkFirstPaint(b *testing.B) {
	server := kit.NATS(b)
	open(b, func(c *config.Config) { c.NATS.URL = server.URL }) // makes the bucket
	stock(b, server)
	empty := open(b)
	var full *house
	var restarts []float64
	for range 5 {
		began := time.Now()
		full = open(b, func(c *config.Config) { c.NATS.URL = server.URL })
		if body := fetch(b, full.url+"/"); !strings.Contains(body, "of 10000 studies") {
			b.Fatalf("a fresh daemon shows %.1000s", body)
		}
		restarts = append(restarts, float64(time.Since(began).Microseconds())/1000)
	}
	ctx := chrome(b, 1920, 1080)
	do(b, ctx, "one paint of each", chromedp.Navigate(empty.url+"/"), chromedp.Navigate(full.url+"/"))
	var none, all []painted
	for b.Loop() {
		none, all = append(none, paint(b, ctx, empty.url+"/")), append(all, paint(b, ctx, full.url+"/"))
	}
	first, list := func(p painted) float64 { return p.first }, func(p painted) float64 { return p.list }
	b.ReportMetric(middle(none, first), "empty-ms")
	b.ReportMetric(middle(all, first), "full-ms")
	b.ReportMetric(middle(all, first)/middle(none, first), "ratio")
	b.ReportMetric(middle(all, list)/middle(none, list), "list-ratio")
	slices.Sort(restarts)
	b.ReportMetric(restarts[len(restarts)/2], "restart-ms")
}

// painted is when a page was painted, in milliseconds after it was asked for:
// anything of it, and its largest part, which is the list.
type painted struct{ first, list float64 }

func middle(list []painted, of func(painted) float64) float64 {
	var values []float64
	for _, p := range list {
		values = append(values, of(p))
	}
	slices.Sort(values)
	return values[len(values)/2]
}

func paint(t testing.TB, ctx context.Context, url string) painted {
	t.Helper()
	do(t, ctx, "paint", chromedp.Navigate(url), chromedp.WaitReady("main"))
	times, err := chromedp.Run(ctx, chromedp.Evaluate[[]float64](`new Promise(done => new PerformanceObserver(list => {
		const first = performance.getEntriesByName("first-contentful-paint")[0];
		if (first) done([first.startTime, list.getEntries().at(-1).startTime]);
	}).observe({type: "largest-contentful-paint", buffered: true}))`, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatalf("paint: %v", err)
	}
	return painted{times[0], times[1]}
}

func fetch(t testing.TB, url string) string {
	t.Helper()
	answer, err := http.Get(url) //nolint:gosec // our own daemon
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// stock fills the bucket as many daemons would have.
func stock(t testing.TB, server *kit.NATSServer) {
	t.Helper()
	nc, err := nats.Connect(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(2*many))
	if err != nil {
		t.Fatal(err)
	}
	kinds := []neurotriage.Disposition{neurotriage.NotFlagged, neurotriage.NotFlagged, neurotriage.NotFlagged, neurotriage.TumourSuspected, neurotriage.GliomaReview, neurotriage.NotAssessable, neurotriage.Refused}
	for i := range many {
		p := float64(i%97) / 97
		entry := events.Entry{
			Schema: events.EntrySchema, StudyInstanceUID: fmt.Sprintf("1.2.3.%d", i), State: events.Read, AccessionNumber: fmt.Sprint("A", i),
			Announcement: events.Announcement{EventID: fmt.Sprint(i), Asked: time.Unix(1.7e9+int64(i), 0).UTC()}, Updated: time.Now().UTC(),
			Finding: &events.FindingSummary{
				ID: fmt.Sprintf("f-%d", i), Status: neurotriage.StatusRead, Disposition: kinds[i%len(kinds)], Probability: &p, Threshold: 0.2,
				Model: "sha256:" + strings.Repeat("5e", 32), Modality: "MR", BodyPart: "BRAIN", Sequence: neurotriage.T1C,
				Finished: time.Unix(1.7e9+int64(i)+2, 0).UTC(),
			},
		}
		text, err := json.Marshal(entry)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := js.PublishAsync("$KV.triage_worklist."+entry.StudyInstanceUID, text); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-js.PublishAsyncComplete():
	case <-time.After(30 * time.Second):
		t.Fatal("the studies were not stored")
	}
}
