// Package login lets visitors of the page log in with an OpenID Connect
// provider: authorization code with PKCE (RFC 7636), state and nonce.
//
// A session is a sealed cookie (AES-256-GCM) with a name, the groups that the
// configuration speaks of, and an end. No daemon keeps sessions, so two daemons
// with the same key know the same ones, and a restart ends none. The price: a
// session that was logged out is known as such to the daemon that was told, and
// only until it stops; a stolen copy of its cookie is good elsewhere until its end.
//
// What a token must be is the standard's (OpenID Connect Core 1.0, 3.1.3.7):
// signed by a key of the provider with an algorithm that it names, of this
// issuer, for this client, not expired, and with the nonce of this attempt.
//
// github.com/coreos/go-oidc does discovery, keys and signatures, because it is
// kept by those who write providers; golang.org/x/oauth2 exchanges the code.
package login
