package login

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// redeem exchanges the code for what the provider says of the person, and
// believes nothing that is not signed for this attempt.
func (g *Gate) redeem(ctx context.Context, code string, a attempt) (claims, error) {
	provider, client, err := g.discover(ctx)
	if err != nil {
		return nil, err
	}
	token, err := client.Exchange(ctx, code, oauth2.VerifierOption(a.Verifier))
	if err != nil {
		return nil, fmt.Errorf("exchanging the code: %w", err)
	}
	raw, ok := token.Extra("id_token").(string)
	if !ok {
		return nil, errors.New("the provider gave no identity token; is the scope openid allowed to this client?")
	}
	verifier := provider.VerifierContext(ctx, &oidc.Config{ClientID: g.options.ClientID, Now: g.now})
	identity, err := verifier.Verify(ctx, raw)
	if err != nil {
		return nil, fmt.Errorf("checking the identity token: %w", err)
	}
	said := claims{}
	if err := identity.Claims(&said); err != nil {
		return nil, fmt.Errorf("reading the identity token: %w", err)
	}
	if err := g.ours(identity, said, token, a); err != nil {
		return nil, err
	}
	return g.more(ctx, provider, token, identity.Subject, said)
}

// ours checks what the library leaves to its callers.
func (g *Gate) ours(identity *oidc.IDToken, said claims, token *oauth2.Token, a attempt) error {
	party, named := said["azp"].(string)
	switch {
	case identity.Nonce != a.Nonce:
		return errors.New("the identity token belongs to another login (nonce)")
	case len(identity.Audience) > 1 && !named, named && party != g.options.ClientID:
		return errors.New("the identity token is meant for another client (azp)")
	case identity.Subject == "":
		return errors.New("the identity token has no subject")
	case identity.AccessTokenHash != "":
		if err := identity.VerifyAccessToken(token.AccessToken); err != nil {
			return fmt.Errorf("checking the access token: %w", err)
		}
	}
	return nil
}

// more asks the provider for what the identity token leaves out: some give
// groups only to those who ask.
func (g *Gate) more(ctx context.Context, provider *oidc.Provider, token *oauth2.Token, subject string, said claims) (claims, error) {
	there := func(claim string) bool { return said.at(claim) != nil }
	if provider.UserInfoEndpoint() == "" || !slices.ContainsFunc([]string{g.options.UserClaim, g.options.RoleClaim}, func(c string) bool { return !there(c) }) {
		return said, nil
	}
	info, err := provider.UserInfo(ctx, oauth2.StaticTokenSource(token))
	if err != nil {
		return nil, fmt.Errorf("asking the provider who came: %w", err)
	}
	if info.Subject != subject { // OpenID Connect Core 1.0, 5.3.2
		return nil, errors.New("the provider answered for somebody else")
	}
	told := claims{}
	if err := info.Claims(&told); err != nil {
		return nil, fmt.Errorf("reading who came: %w", err)
	}
	for name, value := range said {
		told[name] = value // what is signed counts
	}
	return told, nil
}
