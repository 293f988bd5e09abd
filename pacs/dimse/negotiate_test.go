package dimse

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestNegotiation says what becomes of what is proposed (PS3.8 9.3.3.2).
func TestNegotiation(t *testing.T) {
	const implicit, explicit = ImplicitVRLittleEndian, ExplicitVRLittleEndian
	type proposal = contextItem
	committed := func(context.Context, Association, Commitment) error { return nil }
	cases := []struct {
		name    string
		options ServerOptions
		propose []proposal
		want    string // result and transfer syntax of each
	}{
		{"verification needs no configuration", ServerOptions{}, []proposal{{id: 1, abstract: Verification, syntaxes: []string{implicit}}}, "0 " + implicit},
		{"storage is for the configured classes", ServerOptions{},
			[]proposal{{id: 1, abstract: mrImage, syntaxes: []string{implicit}}, {id: 3, abstract: ctImage, syntaxes: []string{implicit}}},
			"0 " + implicit + ", 3 -"},
		{"query and retrieval are refused", ServerOptions{},
			[]proposal{{id: 1, abstract: findRoot, syntaxes: []string{implicit}}, {id: 255, abstract: moveRoot, syntaxes: []string{implicit}}}, "3 -, 3 -"},
		{"our preference decides", ServerOptions{TransferSyntaxes: []string{htj2k, explicit, implicit}},
			[]proposal{{id: 1, abstract: mrImage, syntaxes: []string{implicit, explicit, htj2k}}}, "0 " + htj2k},
		{"the default prefers explicit", ServerOptions{}, []proposal{{id: 1, abstract: mrImage, syntaxes: []string{implicit, explicit}}}, "0 " + explicit},
		{"one context for each transfer syntax", ServerOptions{TransferSyntaxes: []string{explicit, jpegLS, htj2k}},
			[]proposal{{id: 1, abstract: mrImage, syntaxes: []string{htj2k}}, {id: 3, abstract: mrImage, syntaxes: []string{jpegLS}},
				{id: 5, abstract: mrImage, syntaxes: []string{"1.2.3"}}}, "0 " + htj2k + ", 0 " + jpegLS + ", 4 -"},
		{"verification is not compressed", ServerOptions{TransferSyntaxes: []string{jpegLS}},
			[]proposal{{id: 1, abstract: Verification, syntaxes: []string{jpegLS}}}, "4 -"},
		{"no transfer syntax", ServerOptions{}, []proposal{{id: 1, abstract: mrImage}}, "4 -"},
		{"commitment without callee", ServerOptions{}, []proposal{{id: 1, abstract: StorageCommitment, syntaxes: []string{implicit}}}, "3 -"},
		{"commitment", ServerOptions{Committed: committed}, []proposal{{id: 1, abstract: StorageCommitment, syntaxes: []string{implicit}}}, "0 " + implicit},
		{"nothing", ServerOptions{}, nil, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			c.options.SOPClasses = func(uid string) bool { return uid == mrImage }
			if err := c.options.complete(); err != nil {
				t.Fatal(err)
			}
			ac, agreed, err := c.options.negotiate(&associate{contexts: c.propose})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for i, answer := range ac.contexts {
				syntax := "-"
				if a := agreed.get(answer.id); a != nil {
					syntax = a.syntax
					if a.class != c.propose[i].abstract || answer.syntaxes[0] != a.syntax {
						t.Errorf("context %d is agreed on as %+v and answered as %+v", answer.id, a, answer)
					}
				}
				if answer.id != c.propose[i].id || len(answer.syntaxes) != 1 || (answer.result == 0) != (syntax != "-") {
					t.Errorf("answer %+v", answer)
				}
				got = append(got, fmt.Sprintf("%d %s", answer.result, syntax))
			}
			if text := strings.Join(got, ", "); text != c.want {
				t.Errorf("answers %q, want %q", text, c.want)
			}
		})
	}
}

func TestNegotiationOfTheUser(t *testing.T) {
	storage := func(uid string) bool { return uid == mrImage }
	report := ServerOptions{SOPClasses: storage, Committed: func(context.Context, Association, Commitment) error { return nil }}
	cases := []struct {
		name string
		user userItem
		want userItem // beside what is always the same
	}{
		{"nothing asked", userItem{}, userItem{}},
		{"window of operations", userItem{async: true}, userItem{async: true}},
		{"roles", userItem{roles: []roleItem{{StorageCommitment, false, true}, {mrImage, true, true}, {findRoot, true, false}}},
			userItem{roles: []roleItem{{StorageCommitment, false, true}, {mrImage, true, false}}}},
		{"identity without wish for an answer", userItem{identity: &identityItem{kind: 1, primary: "a"}}, userItem{}},
		{"identity", userItem{identity: &identityItem{kind: 2, respond: true, primary: "a"}}, userItem{answered: true}},
		{"identity of a kind we do not know", userItem{identity: &identityItem{kind: 3, respond: true}}, userItem{}},
	}
	for _, c := range cases {
		o := report
		if err := o.complete(); err != nil {
			t.Fatal(err)
		}
		ac, _, err := o.negotiate(&associate{user: c.user})
		if err != nil {
			t.Fatal(err)
		}
		got := ac.user
		if got.maxPDU != 131072 || got.classUID != ImplementationClassUID || got.version != ImplementationVersion {
			t.Errorf("%s: we say who we are as %+v", c.name, got)
		}
		if got.async != c.want.async || got.answered != c.want.answered || !slices.Equal(got.roles, c.want.roles) || got.identity != nil {
			t.Errorf("%s: answer %+v, want %+v", c.name, got, c.want)
		}
	}
}

// TestRejections says who is rejected and in which words; Dial hears the same.
func TestRejections(t *testing.T) {
	cases := []struct {
		name    string
		options func(*ServerOptions)
		request func(*associate)
		answer  string
		want    Rejection
	}{
		{"another protocol version", nil, nil, "reject 1 2 2", RejectVersion},
		{"another application context", nil, nil, "reject 1 1 2", RejectContextName},
		{"no calling title", nil, func(rq *associate) { rq.setTitles("NEUROTRIAGE", "") }, "reject 1 1 3", RejectCalling},
		{"a calling title that is none", nil, func(rq *associate) { rq.setTitles("NEUROTRIAGE", "A\nB") }, "reject 1 1 3", RejectCalling},
		{"another called title", func(o *ServerOptions) { o.AETitles = []string{"X", "TRIAGE"} }, nil, "reject 1 1 7", RejectCalled},
		{"an allow-list", func(o *ServerOptions) {
			o.Accept = func(_ context.Context, a Association) error { return fmt.Errorf("%s: %w", a.Calling, RejectCalling) }
		}, nil, "reject 1 1 3", RejectCalling},
		{"a network that is not allowed", func(o *ServerOptions) {
			o.Accept = func(context.Context, Association) error { return errors.New("not from here") }
		}, nil, "reject 1 1 1", RejectNotPermitted},
		{"a full disk", func(o *ServerOptions) {
			o.Accept = func(context.Context, Association) error { return RejectNotNow }
		}, nil, "reject 2 1 1", RejectNotNow},
		{"a PDU limit too small to talk", nil, func(rq *associate) { rq.user.maxPDU = 20 }, "abort 0 0", 0},
		{"a context twice", nil, func(rq *associate) { rq.contexts[1].id = 1 }, "abort 0 0", 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			shelf := newShelf()
			o := shelf.options(t)
			if c.options != nil {
				c.options(&o)
			}
			address, _ := serve(t, o)
			rq := request(c.request)
			switch c.want {
			case RejectVersion:
				rq[7] = 2
			case RejectContextName:
				rq[pduHeader+68+4]++
			}
			r := dialRaw(t, address)
			r.say(rq)
			if got := words(r.hear()); got != c.answer {
				t.Errorf("answer %q, want %q", got, c.answer)
			}
			r.conn.Close()
			shelf.waitRefused(t)
			if c.options == nil {
				return
			}
			_, err := Dial(t.Context(), clientOptions(address, nil))
			if got, ok := errors.AsType[Rejection](err); !ok || got != c.want || got.Transient() != (c.answer[7] == '2') {
				t.Errorf("Dial returns %v, want %v", err, c.want)
			}
			shelf.waitRefused(t)
			if len(shelf.closed) > 0 || len(shelf.opened) > 0 {
				t.Error("a refused association was told to be open")
			}
		})
	}
}

// TestAcceptSeesThePeer in all that can be decided on, and nobody else sees the
// passcode.
func TestAcceptSeesThePeer(t *testing.T) {
	shelf := newShelf()
	o := shelf.options(t)
	o.AETitles = []string{"NEUROTRIAGE", "SECOND"}
	o.Accept = func(_ context.Context, a Association) error {
		if a.Username != "alice" || string(a.Passcode) != "s3cret" {
			return RejectNotPermitted
		}
		if a.Calling != "SENDER" || a.Called != "SECOND" || a.ImplementationVersion != ImplementationVersion || !strings.HasPrefix(a.Remote, "127.0.0.1:") {
			return fmt.Errorf("peer is %+v", a)
		}
		if text := fmt.Sprintf("%v %+v %#v", a, a, a); strings.Contains(text, "s3cret") {
			return fmt.Errorf("the passcode shows")
		}
		return nil
	}
	address, _ := serve(t, o)
	good := func(o *ClientOptions) { o.Called, o.Username, o.Passcode = "SECOND", "alice", "s3cret" }
	c := dial(t, address, good)
	if err := c.Store(t.Context(), mr("1.2.3", pattern(10))); err != nil {
		t.Fatal(err)
	}
	if err := c.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	shelf.waitClosed(t)
	if a := shelf.requests[0].Association; a.Passcode != "" || a.Username != "alice" || a.ID == "" || a.ID != shelf.opened[0].ID {
		t.Errorf("Store sees %+v", a)
	}
	_, err := Dial(t.Context(), clientOptions(address, func(o *ClientOptions) { good(o); o.Passcode = "guess" }))
	if !errors.Is(err, RejectNotPermitted) {
		t.Errorf("a wrong passcode gives %v", err)
	}
}

// TestTheLimitOfAssociations rejects one too many for now, and takes it later.
func TestTheLimitOfAssociations(t *testing.T) {
	shelf := newShelf()
	o := shelf.options(t)
	o.MaxAssociations = 2
	address, _ := serve(t, o)
	first := dial(t, address, nil)
	dial(t, address, nil)
	_, err := Dial(t.Context(), clientOptions(address, nil))
	if got, ok := errors.AsType[Rejection](err); !ok || got != RejectLimit || !got.Transient() {
		t.Errorf("the third gets %v, want %v", err, RejectLimit)
	}
	shelf.waitRefused(t)
	if err := first.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	shelf.waitClosed(t)
	dial(t, address, nil)
}

// TestConnectionsBeyondEveryLimit are closed at once and take nothing from others.
func TestConnectionsBeyondEveryLimit(t *testing.T) {
	shelf := newShelf()
	o := shelf.options(t)
	o.MaxAssociations = 1
	address, _ := serve(t, o)
	c := dial(t, address, nil)
	for range spareConnections { // they say nothing
		dialRaw(t, address)
	}
	// Connections are accepted in turn, so these are the ones beyond.
	extra := dialRaw(t, address)
	extra.gone()
	if err := c.Store(t.Context(), mr("1.2.3", pattern(100_000))); err != nil {
		t.Error(err)
	}
}

func TestServerOptionsAreChecked(t *testing.T) {
	for complaint, o := range map[string]ServerOptions{
		`AE title "TOO_LONG_TO_BE_ONE"`: {AETitles: []string{"TOO_LONG_TO_BE_ONE"}},
		"largest PDU of 100 bytes":      {MaxPDU: 100},
		"have to be positive":           {MaxAssociations: -1},
		"times have to be positive":     {IdleTimeout: -1},
		"object size":                   {MaxObject: 1 << 62},
	} {
		if _, err := NewServer(o); err == nil || !strings.Contains(err.Error(), complaint) {
			t.Errorf("error %v, want one about %s", err, complaint)
		}
	}
}

func TestClientOptionsAreChecked(t *testing.T) {
	for complaint, change := range map[string]func(*ClientOptions){
		`AE title ""`:               func(o *ClientOptions) { o.Calling = "" },
		"0 proposals":               func(o *ClientOptions) { o.Propose = nil },
		"129 proposals":             func(o *ClientOptions) { o.Propose = slices.Repeat(o.Propose[:1], 129) },
		"largest PDU":               func(o *ClientOptions) { o.MaxPDU = 1 },
		"which is not a UID":        func(o *ClientOptions) { o.Propose[0].SOPClass = "MR" },
		"times have to be positive": func(o *ClientOptions) { o.WriteTimeout = -1 },
	} {
		if _, err := Dial(t.Context(), clientOptions("127.0.0.1:1", change)); err == nil || !strings.Contains(err.Error(), complaint) {
			t.Errorf("error %v, want one about %s", err, complaint)
		}
	}
}
