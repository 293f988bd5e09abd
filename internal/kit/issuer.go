package kit

import (
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"
)

// Issuer is an OpenID Connect provider with signed tokens: discovery, keys, the
// code flow with PKCE, user info and logout. It logs everybody in as Claims say.
// The fields change what it does next; Set changes them while it serves.
type Issuer struct {
	URL      string
	ClientID string
	Secret   string // empty: a public client

	Claims map[string]any                      // of the person who logs in
	Info   map[string]any                      // what user info adds
	Spoil  func(header, claims map[string]any) // changes a token before it is signed
	Page   bool                                // ask the person with a page, as real ones do

	mu      sync.Mutex
	key     *rsa.PrivateKey
	keyID   string
	codes   map[string]url.Values // what a code was given for
	Prompts []string              // what logins asked for
}

// NewIssuer serves until the test ends.
func NewIssuer(t testing.TB, clientID, secret string) *Issuer {
	t.Helper()
	i := &Issuer{ClientID: clientID, Secret: secret, codes: map[string]url.Values{}}
	i.Rotate()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", i.discovery)
	mux.HandleFunc("GET /keys", i.keys)
	mux.HandleFunc("GET /authorize", i.authorize)
	mux.HandleFunc("POST /token", i.token)
	mux.HandleFunc("GET /userinfo", i.userInfo)
	mux.HandleFunc("GET /logout", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "logged out") })
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	i.URL = server.URL
	return i
}

// Set changes the issuer while it serves.
func (i *Issuer) Set(change func(*Issuer)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	change(i)
}

// Rotate makes a new key; tokens of the old one are not good any more.
func (i *Issuer) Rotate() {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err) // no randomness
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.key, i.keyID = key, rand.Text()
}

func (i *Issuer) discovery(w http.ResponseWriter, _ *http.Request) {
	reply(w, map[string]any{
		"issuer": i.URL, "authorization_endpoint": i.URL + "/authorize", "token_endpoint": i.URL + "/token", "jwks_uri": i.URL + "/keys",
		"userinfo_endpoint": i.URL + "/userinfo", "end_session_endpoint": i.URL + "/logout",
		"id_token_signing_alg_values_supported": []string{"RS256"}, "response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"},
	})
}

func (i *Issuer) keys(w http.ResponseWriter, _ *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	reply(w, map[string]any{"keys": []any{map[string]any{
		"kty": "RSA", "use": "sig", "alg": "RS256", "kid": i.keyID,
		"n": pack(i.key.N.Bytes()), "e": pack(big.NewInt(int64(i.key.E)).Bytes()),
	}}})
}

func (i *Issuer) authorize(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	query := r.URL.Query()
	if query.Get("client_id") != i.ClientID || query.Get("response_type") != "code" || query.Get("code_challenge_method") != "S256" {
		http.Error(w, "this is no login with PKCE of the client", http.StatusBadRequest)
		return
	}
	code := rand.Text()
	i.codes[code] = query
	i.Prompts = append(i.Prompts, query.Get("prompt"))
	back := query.Get("redirect_uri") + "?" + url.Values{"code": {code}, "state": {query.Get("state")}}.Encode()
	if i.Page {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, `<title>Provider</title><a id="consent" href="%s">I am %s</a>`, html.EscapeString(back), html.EscapeString(fmt.Sprint(i.Claims["preferred_username"])))
		return
	}
	http.Redirect(w, r, back, http.StatusSeeOther)
}

// token redeems a code once, for who holds the verifier and the secret.
func (i *Issuer) token(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	asked, ok := i.codes[r.PostFormValue("code")]
	delete(i.codes, r.PostFormValue("code"))
	id, secret, basic := r.BasicAuth()
	if !basic {
		id, secret = r.PostFormValue("client_id"), r.PostFormValue("client_secret")
	}
	challenge := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	switch {
	case !ok, id != i.ClientID, secret != i.Secret,
		subtle.ConstantTimeCompare([]byte(pack(challenge[:])), []byte(asked.Get("code_challenge"))) != 1,
		r.PostFormValue("redirect_uri") != asked.Get("redirect_uri"):
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"error":"invalid_grant"}`))
		return
	}
	reply(w, map[string]any{"access_token": "access", "token_type": "Bearer", "expires_in": 300, "id_token": i.sign(asked.Get("nonce"))})
}

// sign makes an identity token; Spoil may choose alg none or HS256, too.
func (i *Issuer) sign(nonce string) string {
	header := map[string]any{"alg": "RS256", "kid": i.keyID, "typ": "JWT"}
	claims := map[string]any{
		"iss": i.URL, "aud": i.ClientID, "sub": "subject-1", "nonce": nonce, "iat": time.Now().Unix(), "exp": time.Now().Add(5 * time.Minute).Unix(),
	}
	maps.Copy(claims, i.Claims)
	if i.Spoil != nil {
		i.Spoil(header, claims)
	}
	text := pack(marshal(header)) + "." + pack(marshal(claims))
	digest := sha256.Sum256([]byte(text))
	var signature []byte
	switch header["alg"] {
	case "none":
	case "HS256": // signed with what everybody knows
		mac := hmac.New(sha256.New, i.key.N.Bytes())
		mac.Write([]byte(text))
		signature = mac.Sum(nil)
	default:
		var err error
		if signature, err = rsa.SignPKCS1v15(rand.Reader, i.key, crypto.SHA256, digest[:]); err != nil {
			panic(err) // a key of ours always signs
		}
	}
	return text + "." + pack(signature)
}

func (i *Issuer) userInfo(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if r.Header.Get("Authorization") != "Bearer access" {
		http.Error(w, "not logged in", http.StatusUnauthorized)
		return
	}
	info := map[string]any{"sub": "subject-1"}
	maps.Copy(info, i.Info)
	reply(w, info)
}

func pack(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

func marshal(value any) []byte {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err) // claims of a test are plain values
	}
	return text
}

func reply(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(marshal(value))
}
