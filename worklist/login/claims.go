package login

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// nameBytes bounds a visitor's name, as assessments do.
const nameBytes = 256

// claims are what a provider says of a person.
type claims map[string]any

// at finds a claim. A dotted name leads into objects, as Keycloak's
// realm_access.roles does; a claim that has the whole name comes first, since
// some providers put addresses there.
func (c claims) at(name string) any {
	if value, ok := c[name]; ok {
		return value
	}
	head, rest, dotted := strings.Cut(name, ".")
	inner, ok := c[head].(map[string]any)
	if !dotted || !ok {
		return nil
	}
	return claims(inner).at(rest)
}

// name is what the person is called in lists and in the log book.
func (c claims) name(claim string) (string, error) {
	if verified, ok := c["email_verified"].(bool); ok && !verified && claim == "email" {
		return "", errors.New("the provider has not verified the e-mail address that would be the name")
	}
	name, ok := c.at(claim).(string)
	if name = strings.TrimSpace(name); !ok || name == "" {
		return "", fmt.Errorf("the token has no claim %q to call the visitor by; set http.access.oidc.user_claim", claim)
	}
	if len(name) > nameBytes || !utf8.ValidString(name) {
		return "", fmt.Errorf("claim %q is no name: %d bytes", claim, len(name))
	}
	return name, nil
}

// groups are the values of a claim that a list of the configuration speaks of;
// the others would only make the cookie large.
func (c claims) groups(claim string, known []string) []string {
	var list []string
	keep := func(group any) {
		if text, ok := group.(string); ok && slices.Contains(known, text) && !slices.Contains(list, text) {
			list = append(list, text)
		}
	}
	switch value := c.at(claim).(type) {
	case []any:
		for _, group := range value {
			keep(group)
		}
	case string:
		keep(value)
	}
	return list
}
