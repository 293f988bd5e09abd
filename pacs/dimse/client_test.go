package dimse

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

// TestAnswersToDial says what Dial makes of each answer to its request.
func TestAnswersToDial(t *testing.T) {
	accept := func(change func(*associate)) []byte {
		ac := &associate{contexts: []contextItem{
			{id: 1, syntaxes: []string{ImplicitVRLittleEndian}}, {id: 3, syntaxes: []string{ExplicitVRLittleEndian}},
		}}
		change(ac)
		return ac.append(nil, pduAssociateAC)
	}
	cases := []struct {
		name, want string
		answer     []byte
	}{
		{"rejection", "association rejected permanently: calling AE title not recognized", appendShort(nil, pduAssociateRJ, 1, 1, 3)},
		{"rejection for now", "association rejected for now: local limit exceeded", appendShort(nil, pduAssociateRJ, 2, 3, 2)},
		{"rejection in words of its own", "association rejected for now: source 7, reason 9", appendShort(nil, pduAssociateRJ, 2, 7, 9)},
		{"abort by the application", "aborted by the peer's application", appendShort(nil, pduAbort, 0, 0, 0)},
		{"abort by the upper layer", "aborted by the peer's upper layer: unexpected PDU", appendShort(nil, pduAbort, 0, 2, 2)},
		{"release", "peer requests release", appendShort(nil, pduReleaseRQ, 0, 0, 0)},
		{"closed", "unexpected EOF", nil},
		{"half an acceptance", "unexpected EOF", accept(func(*associate) {})[:70]},
		{"something else", "PDU type 48H", []byte("HTTP/1.1 400 Bad Request")},
		{"rejection of one byte", "rejection of 1 bytes", []byte{pduAssociateRJ, 0, 0, 0, 0, 1, 0}},
		{"rejection of 4 GB", "a PDU of 4294967295 bytes", []byte{pduAssociateRJ, 0, 255, 255, 255, 255}},
		{"acceptance of 4 GB", "a PDU of 4294967295 bytes", []byte{pduAssociateAC, 0, 255, 255, 255, 255}},
		{"a transfer syntax that was not proposed", "transfer syntax that was not proposed",
			accept(func(ac *associate) { ac.contexts[1].syntaxes[0] = jpegLS })},
		{"no transfer syntax", "transfer syntax that was not proposed", accept(func(ac *associate) { ac.contexts[1].syntaxes = nil })},
		{"a PDU limit too small to talk", "maximum PDU length of 7 bytes", accept(func(ac *associate) { ac.user.maxPDU = 7 })},
		{"acceptance", "", accept(func(*associate) {})},
		{"acceptance with contexts that nobody proposed", "", accept(func(ac *associate) {
			ac.contexts = append(ac.contexts, contextItem{id: 5, syntaxes: []string{jpegLS}}, contextItem{id: 255, syntaxes: []string{jpegLS}})
		})},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ours, theirs := net.Pipe()
				go func() {
					readPDU(theirs)
					theirs.Write(c.answer)
					theirs.Close()
				}()
				conn, err := Dial(t.Context(), clientOptions("pacs:104", func(o *ClientOptions) {
					o.DialContext = func(context.Context, string, string) (net.Conn, error) { return ours, nil }
				}))
				switch {
				case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
					t.Errorf("error %v, want %q", err, c.want)
				case c.want != "" && !strings.Contains(err.Error(), "request an association with NEUROTRIAGE as SENDER at pacs:104"):
					t.Errorf("error %v does not say what was attempted", err)
				case c.want == "" && err != nil:
					t.Error(err)
				case c.want == "" && !slices.Equal(conn.Accepted(mrImage), []string{ExplicitVRLittleEndian}):
					t.Errorf("accepted %q", conn.Accepted(mrImage))
				}
				if conn != nil {
					conn.Abort()
				}
			})
		})
	}
}

// TestAnswersToARequest says what a client makes of what comes instead of an answer.
func TestAnswersToARequest(t *testing.T) {
	answer := func(c command) []byte { return commandPDU(1, c) }
	good := answer(echoRQ.answer(StatusSuccess))
	cases := []struct {
		name, want string
		answer     []byte
		last       string // the client's last PDU
	}{
		{"the answer", "", good, ""},
		{"a failure", "C-ECHO answered with 0110H processing failure (\"processing failure\")", answer(echoRQ.answer(StatusProcessingFailure)), ""},
		{"another message's answer", "an answer 8030H to message 7", answer(command{field: fieldEcho | fieldResponse, id: 7, datasetType: noDataset}), "abort 2 2"},
		{"another service's answer", "an answer 8001H to message 1", answer(command{field: fieldStore | fieldResponse, id: 1, datasetType: noDataset}), "abort 2 2"},
		{"an abort", "aborted by the peer's application", appendShort(nil, pduAbort, 0, 0, 0), ""},
		{"a release", "association is released", appendShort(nil, pduReleaseRQ, 0, 0, 0), "release"},
		{"the answer to a release", "answers nothing", appendShort(nil, pduReleaseRP, 0, 0, 0), "abort 2 2"},
		{"nonsense", "PDU type 00H", make([]byte, 6), "abort 2 1"},
		{"a context that was not agreed on", "context 77", commandPDU(77, echoRQ.answer(StatusSuccess)), "abort 2 6"},
		{"too large a PDU", "a data PDU of 1048576 bytes", []byte{pduData, 0, 0, 16, 0, 0}, "abort 2 6"},
		{"an answer with a dataset", "", slices.Concat(answer(command{field: fieldEcho | fieldResponse, id: 1}), data(1, flagLast, make([]byte, 999))), ""},
		{"a request first", "", slices.Concat(answer(command{field: fieldEcho, id: 5, datasetType: noDataset}), good), ""},
		{"a cancel first", "", slices.Concat(answer(command{field: fieldCancel, id: 5, datasetType: noDataset}), good), ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				conn, r := fakePeer(t)
				heard := make(chan string, 1)
				go func() {
					readPDU(r.conn)
					go r.conn.Write(c.answer)
					last := ""
					for {
						kind, body, err := readPDU(r.conn)
						if err != nil {
							break
						}
						last = words(kind, body)
					}
					heard <- strings.TrimPrefix(last, "data") // refusing a request is not last words
				}()
				err := conn.Echo(t.Context())
				if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
					t.Errorf("error %v, want %q", err, c.want)
				}
				conn.w.conn.Close()
				if last := <-heard; last != c.last {
					t.Errorf("the client's last PDU is %q, want %q", last, c.last)
				}
			})
		})
	}
}

// TestReleaseCollision: both sides ask for release at once (PS3.8 states 9 and 11),
// with data still under way.
func TestReleaseCollision(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, r := fakePeer(t)
		released := make(chan error, 1)
		go func() { released <- conn.Release(t.Context()) }()
		for _, step := range []struct {
			hear string
			say  []byte
		}{
			{"PDU 05H", slices.Concat(commandPDU(1, echoRQ), releaseRQ)},
			{"release", appendShort(nil, pduReleaseRP, 0, 0, 0)},
		} {
			if got := words(r.hear()); got != step.hear {
				t.Errorf("heard %q, want %q", got, step.hear)
			}
			r.say(step.say)
		}
		if err := <-released; err != nil {
			t.Error(err)
		}
		r.gone()
		if err := conn.Release(t.Context()); err != nil {
			t.Errorf("releasing again: %v", err)
		}
		if err := conn.Echo(t.Context()); !errors.Is(err, ErrReleased) {
			t.Errorf("using it further gives %v", err)
		}
	})
}

// TestAbortAtAnyTime breaks off an operation of another goroutine.
func TestAbortAtAnyTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, r := fakePeer(t)
		done := make(chan error, 1)
		go func() { done <- conn.Echo(t.Context()) }()
		r.hear()
		synctest.Wait()
		go conn.Abort()
		if got := words(r.hear()); got != "abort 0 0" {
			t.Errorf("heard %q", got)
		}
		if err := <-done; err == nil {
			t.Error("the operation did not fail")
		}
		conn.Abort()
		r.gone()
	})
}

// TestAnAbortWhileSendingIsHeard: the peer's abort is the error, not the broken
// connection that we notice first.
func TestAnAbortWhileSendingIsHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, r := fakePeer(t)
		go func() {
			readPDU(r.conn) // and reads no more
			r.say(appendShort(nil, pduAbort, 0, 2, 6))
		}()
		err := conn.Store(t.Context(), mr("1.2.3", pattern(3<<20)))
		if got, ok := errors.AsType[Abort](err); !ok || got != (Abort{2, 6}) {
			t.Errorf("error %v, want the peer's abort", err)
		}
		r.conn.Close()
	})
}

func TestOperationsThatWereNotAgreedOn(t *testing.T) {
	shelf := newShelf()
	address, _ := serve(t, shelf.options(t))
	c := dial(t, address, func(o *ClientOptions) {
		o.Propose = []Proposal{{SOPClass: ctImage}, {SOPClass: mrImage, TransferSyntaxes: []string{ExplicitVRLittleEndian, jpegLS}}}
	})
	compressed := mr("1.2.3", nil)
	compressed.TransferSyntaxUID = jpegLS
	_, report := c.Committed(t.Context())
	for name, err := range map[string]error{
		"echo":                         c.Echo(t.Context()),
		"store in another syntax":      c.Store(t.Context(), compressed),
		"commitment":                   c.Commit(t.Context(), "1.2.3", []SOPRef{{mrImage, "1.2.3"}}),
		"report":                       report,
		"store of a class we left out": c.Store(t.Context(), Object{SOPClassUID: findRoot, SOPInstanceUID: "1.2"}),
	} {
		if !errors.Is(err, ErrNotAccepted) {
			t.Errorf("%s: error %v, want ErrNotAccepted", name, err)
		}
	}
	if err := c.Store(t.Context(), mr("../x", nil)); err == nil || !strings.Contains(err.Error(), `SOP instance UID "../x" is none`) {
		t.Errorf("a name that is no UID: error %v", err)
	}
	if err := c.Store(t.Context(), mr("1.2.3", pattern(10))); err != nil {
		t.Errorf("what was agreed on: %v", err)
	}
}

// TestEveryPDUIsOneOfTheStandard: what the client writes, PDU by PDU, for an object
// of two fragments.
func TestEveryPDUIsOneOfTheStandard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, r := fakePeer(t)
		conn.out.max = 4
		go conn.Store(t.Context(), mr("1.2", []byte("dataset")))
		var got []string
		for {
			_, body := r.hear()
			if body[5]&flagCommand == 0 {
				got = append(got, hex.EncodeToString(body))
			}
			if body[5] == flagLast {
				break
			}
		}
		if want := "[000000060300" + "64617461 000000050302" + "736574]"; fmt.Sprint(got) != want {
			t.Errorf("fragments %v, want %v", got, want)
		}
		r.conn.Close()
	})
}
