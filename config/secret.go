package config

import (
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
)

const (
	masked         = "********"
	maxSecretBytes = 64 << 10
)

// mask hides what must not be shown of a key's value.
func (k key) mask(text string) string {
	switch {
	case text == "":
		return ""
	case k.secret:
		return masked
	case k.userinfo:
		return maskUsers(text)
	}
	return text
}

// maskUsers hides the user part of each URL of a list, even of URLs that do not
// parse: all before the last @.
func maskUsers(list string) string {
	parts := strings.Split(list, ",")
	for i, part := range parts {
		at := strings.LastIndexByte(part, '@')
		if at < 0 {
			continue
		}
		scheme, _, ok := strings.Cut(part, "://")
		if !ok {
			scheme = "nats"
		}
		if user, err := url.Parse(strings.TrimSpace(part)); err == nil && user.User == nil {
			continue // the @ stands in a path
		}
		parts[i] = scheme + "://" + masked + part[at:]
	}
	return strings.Join(parts, ",")
}

// Login gives the NATS user and password, from password_file where that is set.
func (n NATS) Login() (user, password string, err error) {
	if n.PasswordFile != "" {
		password, err = secretFile("nats.password_file", n.PasswordFile)
		return n.User, password, err
	}
	return n.User, n.Password, nil
}

// Bearer gives the NATS token, from token_file where that is set.
func (n NATS) Bearer() (string, error) {
	if n.TokenFile != "" {
		return secretFile("nats.token_file", n.TokenFile)
	}
	return n.Token, nil
}

// Login gives the user and password of the HTTP listener; empty: none.
func (h HTTPAuth) Login() (user, password string, err error) {
	if h.PasswordFile == "" {
		return "", "", nil
	}
	password, err = secretFile("http.auth.password_file", h.PasswordFile)
	return h.User, password, err
}

// Bearer gives the token of the HTTP listener; empty: none.
func (h HTTPAuth) Bearer() (string, error) {
	if h.TokenFile == "" {
		return "", nil
	}
	return secretFile("http.auth.token_file", h.TokenFile)
}

// Secret gives the client's secret; empty: a public client.
func (o OIDC) Secret() (string, error) {
	if o.ClientSecretFile == "" {
		return "", nil
	}
	return secretFile("http.access.oidc.client_secret_file", o.ClientSecretFile)
}

// secretFile reads a secret. Line ends at its end do not belong to it; an empty
// secret would open the door, so it is a fault.
func secretFile(key, path string) (string, error) {
	var faults complaints
	file, err := os.Open(path)
	if err != nil {
		faults.add(key, path, "", "file cannot be read: %v", err)
		return "", faults.err()
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxSecretBytes+1))
	if err != nil {
		return "", fmt.Errorf("read %s: %w", key, err)
	}
	secret := strings.TrimRight(string(data), "\r\n")
	switch {
	case secret == "":
		faults.add(key, path, "", "allowed is a file that holds the secret; this one is empty")
	case len(data) > maxSecretBytes:
		faults.add(key, path, "", "allowed is a file of at most %d bytes", maxSecretBytes)
	}
	if err := faults.err(); err != nil {
		return "", err
	}
	return secret, nil
}
