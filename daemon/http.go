package daemon

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"neurotriage"
	"neurotriage/config"
	"neurotriage/worklist"
)

// Bounds of one HTTP exchange.
const (
	headerTime   = 5 * time.Second
	readTime     = 15 * time.Second
	writeTime    = 60 * time.Second // live renewal lifts it for itself
	idleTime     = 2 * time.Minute
	headerBytes  = 16 << 10
	requestBytes = 64 << 10
	farewell     = time.Second // for exchanges that are under way when the daemon stops
)

// openHTTP listens, so that a taken port is an error of the start, and serves.
func (d *Daemon) openHTTP(ctx context.Context) error {
	secure, err := serverTLS(d.cfg.HTTP.TLS)
	if err != nil {
		return err
	}
	handler, err := d.handler()
	if err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", d.cfg.HTTP.Listen)
	if err != nil {
		return fmt.Errorf("http.listen: %w; stop what listens there, or choose another port (0 takes any free one)", err)
	}
	// The base context ends streams that would hold a stop up.
	base, endStreams := context.WithCancel(context.Background())
	server := &http.Server{
		Handler: handler, TLSConfig: secure, ReadHeaderTimeout: headerTime, ReadTimeout: readTime, WriteTimeout: writeTime,
		IdleTimeout: idleTime, MaxHeaderBytes: headerBytes, BaseContext: func(net.Listener) context.Context { return base },
		ErrorLog: slog.NewLogLogger(d.log.Handler(), slog.LevelDebug),
	}
	scheme := "http"
	serve := func() error { return server.Serve(listener) }
	if secure != nil {
		scheme = "https"
		serve = func() error { return server.ServeTLS(listener, "", "") }
	}
	go func() {
		if err := serve(); !errors.Is(err, http.ErrServerClosed) {
			d.fail(fmt.Errorf("serving http: %w", err))
		}
	}()
	d.stack.add("the http listener", func(ctx context.Context) error {
		endStreams()
		ctx, cancel := context.WithTimeout(ctx, farewell)
		defer cancel()
		// A viewer that hangs on, or a connection that never asked anything, is cut off: neither holds up the work's own end.
		if err := server.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			return errors.Join(err, server.Close())
		}
		return server.Close()
	})
	d.addresses.HTTP = scheme + "://" + listener.Addr().String() + "/"
	return nil
}

// handler is everything the daemon serves, behind the doorkeeper.
func (d *Daemon) handler() (http.Handler, error) {
	keeper, err := newDoorkeeper(d.cfg.HTTP)
	if err != nil {
		return nil, err
	}
	known, err := d.openVisitors(keeper)
	if err != nil {
		return nil, err
	}
	mirror, options := d.openPage(known)
	page, err := worklist.New(board{mirror, d.bus}, mirror, options)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", d.serveAlive)
	mux.Handle("GET /readyz", known.known(http.HandlerFunc(d.serveReady)))
	mux.Handle("GET /metrics", known.known(promhttp.HandlerFor(d.deps.Registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4})))
	api := studies{bus: d.bus}
	mux.HandleFunc("GET /v1/studies", page.Guard("list studies", api.list))
	mux.HandleFunc("GET /v1/studies/{uid}", page.Guard("see a finding", api.one))
	announcer := announcer{submit: d.bus.Submit, here: d.announceHere}
	mux.HandleFunc("POST /v1/studies", d.mayWrite(page, keeper, known, "announce a study", announcer.serve))
	mux.Handle("/", page.Handler())

	outer := http.NewServeMux()
	if d.cfg.PACS.Receive.STOW {
		store := d.mayWrite(page, keeper, known, "store images", d.fromKnown(d.openSTOW()))
		outer.HandleFunc("POST /dicom-web/studies", store) // of any size, under limits of its own
		outer.HandleFunc("POST /dicom-web/studies/{study}", store)
	}
	outer.Handle("/", http.MaxBytesHandler(mux, requestBytes))
	return keeper.guard(outer), nil
}

func (d *Daemon) modelRef() neurotriage.ModelRef {
	card, runtime := d.classifier.Model()
	return neurotriage.ModelRef{Name: card.Name, Version: card.Version, Digest: card.Digest, Runtime: runtime}
}

// serveAlive answers whether the work loop lives; a service manager may restart
// the daemon when it does not.
func (d *Daemon) serveAlive(w http.ResponseWriter, _ *http.Request) {
	alive, silence := d.pulse.alive()
	status := http.StatusOK
	if !alive {
		status = http.StatusServiceUnavailable
	}
	writeJSON(w, status, map[string]any{"alive": alive, "longest_silence_seconds": silence.Seconds()})
}

// serveReady answers whether studies are being read, part by part.
func (d *Daemon) serveReady(w http.ResponseWriter, _ *http.Request) {
	health := d.Health()
	status := http.StatusOK
	if !health.Ready {
		status = http.StatusServiceUnavailable
	}
	writeJSON(w, status, health)
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(value) // the client left; nobody is there to be told
}

// doorkeeper lets in who may come in.
type doorkeeper struct {
	allow    []netip.Prefix
	token    string
	user     string
	password string
	byName   bool // only this machine's own names are accepted as Host
	logins   bool // people log in with the page; it knows the token, too
}

func newDoorkeeper(cfg config.HTTP) (doorkeeper, error) {
	token, err := cfg.Auth.Bearer()
	user, password, loginErr := cfg.Auth.Login()
	k := doorkeeper{allow: cfg.Allow, token: token, user: user, password: password, logins: cfg.Access.OIDC.Issuer != ""}
	host, _, splitErr := net.SplitHostPort(cfg.Listen)
	address, parseErr := netip.ParseAddr(host)
	k.byName = !k.locked() && !k.logins && (host == "localhost" || parseErr == nil && address.IsLoopback())
	return k, errors.Join(err, loginErr, splitErr)
}

func (k doorkeeper) locked() bool { return k.token != "" || k.user != "" }

// guard checks network, name and secret, and sets the headers that every answer
// carries. /healthz is open to those on the allow-list, for probes.
func (k doorkeeper) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'") // pages widen it
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("X-Frame-Options", "DENY")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Cross-Origin-Opener-Policy", "same-origin")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		header.Set("Cache-Control", "no-store")
		switch {
		case !k.near(r.RemoteAddr):
			http.Error(w, "this network is not on http.allow", http.StatusForbidden)
		case k.byName && !localName(r.Host):
			http.Error(w, "this name is not the daemon's", http.StatusMisdirectedRequest)
		case r.URL.Path != "/healthz" && !k.logins && !k.knows(r):
			header.Set("WWW-Authenticate", `Basic realm="neurotriage", charset="UTF-8"`)
			http.Error(w, "authentication is needed", http.StatusUnauthorized)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func (k doorkeeper) near(remote string) bool {
	if len(k.allow) == 0 {
		return true
	}
	from, err := netip.ParseAddrPort(remote)
	if err != nil {
		return false
	}
	for _, network := range k.allow {
		if network.Contains(from.Addr().Unmap()) {
			return true
		}
	}
	return false
}

// localName keeps other sites out of a listener without a lock: a page of
// theirs can make a browser ask us under a name that they point at loopback.
func localName(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.Trim(host, "[]")
	address, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && address.IsLoopback()
}

// knows compares in constant time, over digests so that lengths do not tell.
func (k doorkeeper) knows(r *http.Request) bool {
	if !k.locked() {
		return true
	}
	same := func(a, b string) bool {
		x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
		return subtle.ConstantTimeCompare(x[:], y[:]) == 1
	}
	if bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		return k.token != "" && same(bearer, k.token)
	}
	user, password, ok := r.BasicAuth()
	userOK, passwordOK := same(user, k.user), same(password, k.password)
	return ok && k.user != "" && userOK && passwordOK
}
