package browser_test

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"

	"github.com/chromedp/chromedp"

	"neurotriage"
	"neurotriage/config"
	"neurotriage/internal/kit"
)

// proxied is a daemon behind an address that is known before it starts, as one
// behind a proxy is: the login provider has to know where to send people back.
func proxied(t *testing.T, issuer *kit.Issuer) *house {
	t.Helper()
	var target atomic.Pointer[url.URL]
	front := httptest.NewServer(&httputil.ReverseProxy{FlushInterval: -1, Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target.Load())
		r.Out.Host = r.In.Host
	}})
	t.Cleanup(front.CloseClientConnections)
	t.Cleanup(front.Close)
	h := open(t, func(c *config.Config) {
		c.HTTP.Access.OIDC.Issuer, c.HTTP.Access.OIDC.ClientID = issuer.URL, issuer.ClientID
		c.HTTP.Access.OIDC.RedirectURL = front.URL + "/login/callback"
		c.HTTP.Access.Readers, c.HTTP.Access.Admins = []string{"@radiology"}, []string{"@pacs"}
	})
	at, err := url.Parse(h.url)
	if err != nil {
		t.Fatal(err)
	}
	target.Store(at)
	h.url = front.URL
	return h
}

func TestLogin(t *testing.T) {
	issuer := kit.NewIssuer(t, "neurotriage", "")
	be := func(name string, groups ...string) {
		issuer.Set(func(i *kit.Issuer) {
			i.Page, i.Claims = true, map[string]any{"preferred_username": name, "groups": groups}
		})
	}
	be(`roe <b id="owned">`, "radiology")
	h := proxied(t, issuer)
	s := study("lump", "GADOLINIUM", 6, true, false)
	s.PatientName, s.PatientID = "Doe^Jane", "MRN-77"
	h.settle(h.send(s, neurotriage.Urgent))
	uid := kit.UID("lump")
	ctx := chrome(t, 1280, 800)

	do(t, ctx, "a study, without a login", chromedp.Navigate(h.url+"/study/"+uid), chromedp.WaitVisible("#login"))
	if got := ask[string](t, ctx, `document.body.textContent`); containsAny(got, uid, "Doe", "Keyboard") {
		t.Errorf("the login page says %q", got)
	}
	axe(t, ctx)
	look(t, ctx, "login")
	do(t, ctx, "log in", chromedp.Click("#login .button"), chromedp.WaitVisible("#consent"), chromedp.Click("#consent"), chromedp.WaitVisible("#assessment"))
	if got := ask[string](t, ctx, `location.pathname + " " + document.querySelector(".who").textContent + " " + document.querySelector(".patient strong")?.textContent + " " + !!document.getElementById("owned")`); got != "/study/"+uid+` roe <b id="owned"> Doe, Jane false` {
		t.Errorf("after the login the page is %q", got)
	}
	do(t, ctx, "accept", chromedp.Click("button[value=accepted]"))
	until(t, ctx, "the verdict", `document.querySelector("#assessment .said")?.textContent.startsWith("accepted by roe")`)
	axe(t, ctx)
	if got := ask[bool](t, ctx, `!!document.querySelector("a[href='/operations']")`); got {
		t.Error("a reader is led to operations")
	}
	do(t, ctx, "light, then log out", chromedp.Click("button[name=theme]"), chromedp.WaitReady("html.light"),
		chromedp.Click("form[action='/logout'] button"), chromedp.WaitVisible("#login"))
	axe(t, ctx)
	be("vera")
	do(t, ctx, "somebody else", chromedp.Click("#login .button"), chromedp.WaitVisible("#consent"), chromedp.Click("#consent"), chromedp.WaitVisible(".studies"),
		chromedp.Navigate(h.url+"/study/"+uid), chromedp.WaitVisible("#assessment"))
	if got := ask[string](t, ctx, `document.querySelector(".who").textContent + "; " + document.querySelector(".patient dd").textContent + "; " + document.querySelectorAll("form.assess").length`); got != "vera; not shown to the role viewer; 0" {
		t.Errorf("a viewer's page is %q", got)
	}
	until(t, ctx, "live", `document.getElementById("live").textContent === "Live"`)
	do(t, ctx, "log out elsewhere", run(`fetch("/logout", {method: "POST", body: new URLSearchParams({token: document.querySelector("input[name=token]").value})})`))
	h.settle(h.send(study("late", "GADOLINIUM", 4, false, false), neurotriage.Routine))
	until(t, ctx, "the open page asks for a login", `!!document.getElementById("login")`)
	if got := ask[int](t, ctx, `(() => { const x = new XMLHttpRequest(); x.open("GET", "/v1/studies", false); x.send(); return x.status; })()`); got != http.StatusUnauthorized {
		t.Errorf("a script without a session is answered %d", got)
	}
}
