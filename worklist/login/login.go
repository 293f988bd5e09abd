package login

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"neurotriage/worklist"
)

// Options say which provider is asked, and what its answers mean.
type Options struct {
	Issuer, ClientID string
	ClientSecret     string // empty: a public client, which PKCE protects alone
	RedirectURL      string // where the provider sends visitors back; https decides that cookies need TLS
	Scopes           []string
	UserClaim        string   // what a visitor is called by
	RoleClaim        string   // holds the groups; dots lead into objects
	Groups           []string // that matter to Role
	Role             func(name string, groups []string) worklist.Role
	Keys             []string // of sessions, the newest first; Keys and OwnKeys read them
	Lifetime         time.Duration
	Client           *http.Client     // to the provider; nil: one with a time limit
	Now              func() time.Time // nil: time.Now
}

// Bounds of one login.
const (
	attemptLife  = 10 * time.Minute // between leaving for the provider and coming back
	providerTime = 15 * time.Second // for one answer of the provider
)

// Gate logs visitors in and out, and knows them while their session lasts.
type Gate struct {
	options Options
	seals   seals
	secure  bool
	left    left

	mu       sync.Mutex
	provider *oidc.Provider // found at the first login, so that a provider that is away stops no start
}

// New makes a gate. The provider is not asked yet.
func New(options Options) (*Gate, error) {
	seals, err := newSeals(options.Keys)
	if err != nil {
		return nil, err
	}
	back, err := url.Parse(options.RedirectURL)
	if err != nil {
		return nil, fmt.Errorf("reading the address to come back to: %w", err)
	}
	if options.Client == nil {
		if options.Client, err = Client(""); err != nil {
			return nil, err
		}
	}
	if !slices.Contains(options.Scopes, oidc.ScopeOpenID) {
		options.Scopes = append([]string{oidc.ScopeOpenID}, options.Scopes...)
	}
	return &Gate{options: options, seals: seals, secure: back.Scheme == "https"}, nil
}

// Client asks the provider; ca is a PEM file of the authorities that vouch for
// it, or empty for the system's.
func Client(ca string) (*http.Client, error) {
	if ca == "" {
		return &http.Client{Timeout: providerTime}, nil
	}
	text, err := os.ReadFile(ca) //nolint:gosec // named by the configuration
	if err != nil {
		return nil, fmt.Errorf("reading the authorities of the login provider: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s holds no certificate", ca)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	return &http.Client{Timeout: providerTime, Transport: transport}, nil
}

func (g *Gate) now() time.Time {
	if g.options.Now != nil {
		return g.options.Now()
	}
	return time.Now()
}

// attempt is what must come back from the provider, and where to go then.
type attempt struct {
	State, Nonce, Verifier, To string
	Until                      time.Time
}

// Start sends the visitor to the provider. again asks it not to take a person
// who is logged in there for granted.
func (g *Gate) Start(w http.ResponseWriter, r *http.Request, to string, again bool) error {
	ctx, stop := g.context(r)
	defer stop()
	_, client, err := g.discover(ctx)
	if err != nil {
		return err
	}
	a := attempt{State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(), To: to, Until: g.now().Add(attemptLife)}
	sealed, err := g.seals.close(attemptPurpose, a)
	if err != nil {
		return err
	}
	g.set(w, attemptPurpose, sealed, attemptLife)
	asked := []oauth2.AuthCodeOption{oidc.Nonce(a.Nonce), oauth2.S256ChallengeOption(a.Verifier)}
	if again {
		asked = append(asked, oauth2.SetAuthURLParam("prompt", "login"))
	}
	http.Redirect(w, r, client.AuthCodeURL(a.State, asked...), http.StatusSeeOther)
	return nil
}

// Finish takes what the provider sent the visitor back with, and begins a
// session. It gives who came, and where they want to go. The attempt is used up
// whatever comes of it.
func (g *Gate) Finish(w http.ResponseWriter, r *http.Request) (worklist.Visitor, string, error) {
	var a attempt
	known := g.read(r, attemptPurpose, &a)
	g.forget(w, attemptPurpose)
	query := r.URL.Query()
	switch {
	case !known || !g.now().Before(a.Until):
		return worklist.Visitor{}, "", errors.New("the browser brought no login that is under way; it may have taken too long")
	case subtle.ConstantTimeCompare([]byte(a.State), []byte(query.Get("state"))) != 1:
		return worklist.Visitor{}, "", errors.New("the answer belongs to another login (state)")
	case query.Get("iss") != "" && query.Get("iss") != g.options.Issuer: // RFC 9207
		return worklist.Visitor{}, "", errors.New("the answer comes from another issuer")
	case query.Get("error") != "":
		return worklist.Visitor{}, "", fmt.Errorf("the provider refused: %.100q %.300q", query.Get("error"), query.Get("error_description"))
	}
	ctx, stop := g.context(r)
	defer stop()
	said, err := g.redeem(ctx, query.Get("code"), a)
	if err != nil {
		return worklist.Visitor{}, "", err
	}
	name, err := said.name(g.options.UserClaim)
	if err != nil {
		return worklist.Visitor{}, "", err
	}
	groups := said.groups(g.options.RoleClaim, g.options.Groups)
	who := worklist.Visitor{Name: name, Role: g.options.Role(name, groups)}
	if who.Role < worklist.Viewer {
		return who, "", worklist.ErrNoRole
	}
	return who, a.To, g.begin(w, name, groups)
}

// End forgets the session and gives the address where the provider's own
// session can be ended, or nothing.
func (g *Gate) End(w http.ResponseWriter, r *http.Request) string {
	if s, ok := g.session(r); ok {
		g.left.add(s, g.now())
	}
	g.forget(w, sessionPurpose)
	return g.elsewhere()
}

// elsewhere is the provider's page for logging out (OpenID Connect RP-Initiated
// Logout 1.0), when it has said that there is one.
func (g *Gate) elsewhere() string {
	g.mu.Lock()
	provider := g.provider
	g.mu.Unlock()
	var told struct {
		End string `json:"end_session_endpoint"`
	}
	if provider == nil || provider.Claims(&told) != nil {
		return ""
	}
	address, err := url.Parse(told.End)
	if err != nil || address.Scheme != "https" && address.Scheme != "http" {
		return ""
	}
	query := address.Query()
	query.Set("client_id", g.options.ClientID)
	address.RawQuery = query.Encode()
	return address.String()
}

func (g *Gate) context(r *http.Request) (context.Context, context.CancelFunc) {
	return context.WithTimeout(oidc.ClientContext(r.Context(), g.options.Client), providerTime)
}

// discover asks the provider for its addresses, once.
func (g *Gate) discover(ctx context.Context) (*oidc.Provider, oauth2.Config, error) {
	g.mu.Lock()
	provider := g.provider
	g.mu.Unlock()
	if provider == nil {
		var err error
		if provider, err = oidc.NewProvider(ctx, g.options.Issuer); err != nil {
			return nil, oauth2.Config{}, fmt.Errorf("asking the login provider %s for its addresses: %w", g.options.Issuer, err)
		}
		g.mu.Lock()
		g.provider = provider
		g.mu.Unlock()
	}
	return provider, oauth2.Config{
		ClientID: g.options.ClientID, ClientSecret: g.options.ClientSecret, RedirectURL: g.options.RedirectURL,
		Endpoint: provider.Endpoint(), Scopes: g.options.Scopes,
	}, nil
}
