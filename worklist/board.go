package worklist

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"neurotriage"
)

//go:embed page
var files embed.FS

// Options are what a board needs beside its store.
type Options struct {
	Model      func() neurotriage.ModelRef // in force, shown at the foot of every page
	Evaluation func() map[string]any       // of the model's card, shown on the operations page
	Version    string                      // of the program
	Now        func() time.Time            // nil: time.Now
	Zone       *time.Location              // of the times shown; nil: the machine's
	Logger     *slog.Logger
	Visitor    func(*http.Request) (Visitor, error) // who asks; nil: everybody is anonymous and may do all
	Desk       Desk                                 // nil: findings cannot be assessed
	Stack      Stack                                // nil: only key slices can be scrolled
	Room       Room                                 // nil: no operations page
	Trouble    func() string                        // why what is shown may be out of date, or empty; nil: never
	Archive    string                               // address of a PACS viewer, {study} stands for the study UID; empty: no link
	Login      Login                                // nil: visitors are known otherwise
	Auditor    Auditor                              // nil: acts stand in the log alone
	Patients   Patients                             // nil: nobody sees who a patient is
	Identity   func(Visitor) bool                   // whether the visitor may see who the patient is; nil: nobody may
}

// Board serves the pages.
type Board struct {
	store     Store
	announcer Announcer
	options   Options
	pages     *template.Template
	book      *book
	readings  readings
	sheets    sheets
	samples   samples
}

// page is what every page shows.
type page struct {
	Title   string
	Model   *neurotriage.ModelRef
	Theme   string // dark, light
	Token   string // for forms
	Here    string // this page's address
	Visitor Visitor
	Room    bool   // there is an operations page, and the visitor may see it
	Login   bool   // the visitor can log out
	Trouble string // why the page may be out of date, or empty
}

// New makes a board over a store. A nil announcer leaves pages without live
// renewal.
func New(store Store, announcer Announcer, options Options) (*Board, error) {
	pages, err := template.New("").Funcs(template.FuncMap{
		"percent": percent, "scale": scale, "clock": clock(options.Zone), "stamp": stamp, "short": short, "brief": brief,
		"place": place, "above": above, "height": height,
	}).ParseFS(files, "page/*.html")
	if err != nil {
		return nil, fmt.Errorf("parse the embedded pages: %w", err)
	}
	if options.Visitor == nil {
		options.Visitor = anonymous
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	return &Board{
		store: store, announcer: announcer, options: options, pages: pages, book: &book{log: options.Logger, auditor: options.Auditor, now: options.Now},
	}, nil
}

// Handler serves /, /study/…, /operations, /events and /assets/.
func (b *Board) Handler() http.Handler {
	assets, err := fs.Sub(files, "page")
	if err != nil {
		panic(err) // the folder is embedded: only a wrong build can do this
	}
	mux := http.NewServeMux()
	see := func(pattern, act string, handler http.HandlerFunc) {
		mux.HandleFunc(pattern, b.allow(Viewer, act, handler))
	}
	see("GET /{$}", "see the worklist", b.serveList)
	see("GET /study/{uid}", "see a study", b.serveStudy)
	see("GET /study/{uid}/finding.json", "see a finding", b.serveFinding)
	see("GET /study/{uid}/viewer.json", "open the viewer", b.serveViewer)
	see("GET /study/{uid}/slice/{series}/{slice}", pictureAct, b.serveSlice)
	see("GET /study/{uid}/key/{file}", pictureAct, b.serveKey)
	see("GET /study/{uid}/report/{file}", "fetch a report", b.serveReport)
	see("GET /events", "follow the worklist", b.serveEvents)
	see("POST /theme", "choose a theme", genuine(b.setTheme))
	if b.options.Desk != nil {
		mux.HandleFunc("POST /study/{uid}/assess", b.allow(Reader, "assess a finding", genuine(b.assess)))
		mux.HandleFunc("GET /assessments.csv", b.allow(Reader, "export assessments", b.serveCSV))
	}
	if b.options.Room != nil {
		mux.HandleFunc("GET /operations", b.allow(Admin, "see operations", b.serveOperations))
		mux.HandleFunc("POST /operations/replay", b.allow(Admin, "replay a dead letter", genuine(b.replay)))
	}
	if b.options.Login != nil {
		b.routeLogin(mux)
	}
	mux.HandleFunc("GET /assets/{file}", serveAsset(assets))
	return guard(http.NewCrossOriginProtection().Handler(mux))
}

// serveAsset keeps templates in: they are no pages.
func serveAsset(assets fs.FS) http.HandlerFunc {
	served := http.StripPrefix("/assets/", http.FileServerFS(assets))
	return func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.PathValue("file"), ".html") {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Cache-Control", "private, max-age=300")
		served.ServeHTTP(w, r)
	}
}

// guard sets what every answer carries: nothing from other hosts, no script or
// style that is not ours, no frame around us.
func guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "+
			"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Cache-Control", "no-store") // findings do not belong into a shared cache
		next.ServeHTTP(w, r)
	})
}

func (b *Board) serveList(w http.ResponseWriter, r *http.Request) {
	entries, err := b.store.Entries(r.Context())
	if err != nil {
		b.fail(w, fmt.Errorf("reading the worklist: %w", err))
		return
	}
	b.render(w, "list.html", b.list(b.page(w, r, "Worklist"), entries, parseQuery(r.URL.Query())))
}

func (b *Board) serveFinding(w http.ResponseWriter, r *http.Request) {
	entry, err := b.entry(r)
	if err != nil {
		b.fail(w, err)
		return
	}
	finding, err := b.store.Finding(r.Context(), entry.FindingID)
	if err != nil {
		b.fail(w, fmt.Errorf("reading the finding: %w", err))
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if err := writeJSON(w, finding); err != nil {
		b.options.Logger.Debug("the viewer left", "error", err)
	}
}

// entry finds the study that the address names.
func (b *Board) entry(r *http.Request) (Entry, error) {
	uid := r.PathValue("uid")
	entries, err := b.store.Entries(r.Context())
	if err != nil {
		return Entry{}, fmt.Errorf("reading the worklist: %w", err)
	}
	for _, e := range entries {
		if e.StudyInstanceUID == uid {
			return e, nil
		}
	}
	return Entry{}, fmt.Errorf("no study %q on the worklist: %w", uid, ErrNotFound)
}

func (b *Board) page(w http.ResponseWriter, r *http.Request, title string) page {
	who := visitor(r)
	p := page{
		Title: title, Theme: theme(r), Token: token(w, r), Here: r.URL.RequestURI(), Visitor: who, Room: b.options.Room != nil && who.CanRun(),
		Login: b.options.Login != nil && who.Name != "",
	}
	if b.options.Trouble != nil {
		p.Trouble = b.options.Trouble()
	}
	if b.options.Model != nil {
		model := b.options.Model()
		p.Model = &model
	}
	return p
}

func (b *Board) now() time.Time { return b.options.Now() }

// render writes a page whole or not at all.
func (b *Board) render(w http.ResponseWriter, name string, data any) {
	b.renderWith(w, http.StatusOK, name, data)
}

func (b *Board) renderWith(w http.ResponseWriter, status int, name string, data any) {
	var text bytes.Buffer
	if err := b.pages.ExecuteTemplate(&text, name, data); err != nil {
		b.fail(w, fmt.Errorf("rendering %s: %w", name, err))
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	if _, err := text.WriteTo(w); err != nil {
		b.options.Logger.Debug("the viewer left", "error", err)
	}
}

// fail says in plain words what is wrong; the cause goes to the operator's log.
func (b *Board) fail(w http.ResponseWriter, err error) {
	status := http.StatusServiceUnavailable
	text := "The worklist cannot be read just now. It comes back by itself; /readyz says what is wrong."
	if errors.Is(err, ErrNotFound) {
		status, text = http.StatusNotFound, "Not found: "+err.Error()
	} else if !errors.Is(err, context.Canceled) { // else nobody is there any more
		b.options.Logger.Error("the page could not be shown", "error", err)
	}
	http.Error(w, text, status)
}

func percent(p float64) string { return strconv.FormatFloat(100*p, 'f', 1, 64) + " %" }

// scale turns a probability into the bars' 0 to 100.
func scale(p float64) string {
	return strconv.FormatFloat(math.Round(1000*min(max(p, 0), 1))/10, 'f', -1, 64)
}

// clock shows times as the clock on the wall does, and says whose it is.
func clock(zone *time.Location) func(time.Time) string {
	if zone == nil {
		zone = time.Local
	}
	return func(t time.Time) string { return t.In(zone).Format("2006-01-02 15:04:05 MST") }
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// short cuts a digest to what a person compares.
func short(digest string) string { return digest[:min(len(digest), len("sha256:")+12)] }

// brief is a digest as a list has room for it.
func brief(digest string) string {
	digest = strings.TrimPrefix(digest, "sha256:")
	return digest[:min(len(digest), 8)]
}

// place, above and height lay out the histogram of the operations page, 100 by 50.
func place(bin, side int) int { return 10*bin + 1 + 4*side }

func height(share float64) string { return strconv.FormatFloat(50*min(share, 1), 'f', 1, 64) }

func above(share float64) string { return strconv.FormatFloat(50-50*min(share, 1), 'f', 1, 64) }
