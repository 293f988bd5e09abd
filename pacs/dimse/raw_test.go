package dimse

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
)

// raw is a peer that says anything.
type raw struct {
	t    testing.TB
	conn net.Conn
}

func dialRaw(t testing.TB, address string) *raw {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(generous))
	return &raw{t, conn}
}

// say sends bytes. That the other end has closed already is found when hearing.
func (r *raw) say(b []byte) { r.conn.Write(b) }

// hear reads one PDU.
func (r *raw) hear() (kind byte, body []byte) {
	r.t.Helper()
	kind, body, err := readPDU(r.conn)
	if err != nil {
		r.t.Fatalf("no PDU came: %v", err)
	}
	return kind, body
}

func readPDU(from io.Reader) (kind byte, body []byte, err error) {
	head := make([]byte, pduHeader)
	if _, err := io.ReadFull(from, head); err != nil {
		return 0, nil, err
	}
	body = make([]byte, binary.BigEndian.Uint32(head[2:]))
	_, err = io.ReadFull(from, body)
	return head[0], body, err
}

// gone waits for the end of the connection.
func (r *raw) gone() {
	r.t.Helper()
	rest, err := io.ReadAll(r.conn)
	if len(rest) > 0 || errors.Is(err, net.ErrClosed) || isTimeout(err) {
		r.t.Errorf("% x and %v came where the connection should end", rest, err)
	}
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// request is a good A-ASSOCIATE-RQ, changed.
func request(change func(*associate)) []byte {
	o := clientOptions("", nil)
	o.complete()
	rq := o.request()
	if change != nil {
		change(rq)
	}
	return rq.append(nil, pduAssociateRQ)
}

// data is a P-DATA-TF PDU with one PDV.
func data(context, flags byte, content []byte) []byte {
	o := outbox{}
	o.head(context, flags, len(content))
	return append(o.buf, content...)
}

func commandPDU(context byte, c command) []byte {
	return data(context, flagCommand|flagLast, c.append(nil))
}

var (
	echoRQ    = command{field: fieldEcho, id: 1, class: Verification, datasetType: noDataset}
	storeRQ   = command{field: fieldStore, id: 2, class: mrImage, instance: "1.2.3", datasetType: withDataset}
	releaseRQ = appendShort(nil, pduReleaseRQ, 0, 0, 0)
)

// TestEventsInEveryState says what the server answers to each event that a peer
// can cause (PS3.8 table 9-10). Before says what is sent and answered first.
func TestEventsInEveryState(t *testing.T) {
	store := commandPDU(3, storeRQ)
	cases := []struct {
		name      string
		associate bool   // in state 6, else in state 2
		event     []byte // what is sent
		answer    string // PDUs that come back
		how       string // of Ended, or "refused"
	}{
		{"state 2, data", false, data(1, 3, []byte("x")), "abort 0 0", "refused"},
		{"state 2, acceptance", false, slices.Concat([]byte{pduAssociateAC}, request(nil)[1:]), "abort 0 0", "refused"},
		{"state 2, release", false, releaseRQ, "abort 0 0", "refused"},
		{"state 2, answer to a release", false, appendShort(nil, pduReleaseRP, 0, 0, 0), "abort 0 0", "refused"},
		{"state 2, abort", false, appendShort(nil, pduAbort, 0, 0, 0), "", "refused"},
		{"state 2, unknown PDU", false, []byte{0x42, 0, 0, 0, 0, 0}, "abort 0 0", "refused"},
		{"state 2, something else than DICOM", false, []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), "abort 0 0", "refused"},
		{"state 2, a request of 4 GB", false, []byte{pduAssociateRQ, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0, 1}, "abort 0 0", "refused"},
		{"state 2, a request that does not parse", false, []byte{pduAssociateRQ, 0, 0, 0, 0, 2, 0, 1}, "abort 0 0", "refused"},
		{"state 6, release", true, releaseRQ, "release", Released},
		{"state 6, abort", true, appendShort(nil, pduAbort, 0, 0, 0), "", Aborted},
		{"state 6, echo and release", true, slices.Concat(commandPDU(1, echoRQ), releaseRQ), "data, release", Released},
		{"state 6, request", true, request(nil), "abort 2 2", Violated},
		{"state 6, acceptance", true, slices.Concat([]byte{pduAssociateAC}, request(nil)[1:]), "abort 2 2", Violated},
		{"state 6, rejection", true, appendShort(nil, pduAssociateRJ, 1, 1, 1), "abort 2 2", Violated},
		{"state 6, answer to a release", true, appendShort(nil, pduReleaseRP, 0, 0, 0), "abort 2 2", Violated},
		{"state 6, unknown PDU", true, []byte{0x08, 0, 0, 0, 0, 0}, "abort 2 1", Violated},
		{"state 6, release of 5 bytes", true, []byte{pduReleaseRQ, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0}, "abort 2 6", Violated},
		{"state 6, release of 3 bytes", true, []byte{pduReleaseRQ, 0, 0, 0, 0, 3, 0, 0, 0}, "abort 2 6", Violated},
		{"state 6, data PDU beyond the limit", true, []byte{pduData, 0, 0, 2, 0, 1, 0, 0, 0, 9, 1, 3}, "abort 2 6", Violated},
		{"state 6, data PDU of 4 GB", true, []byte{pduData, 0, 0xFF, 0xFF, 0xFF, 0xFF}, "abort 2 6", Violated},
		{"state 6, data PDU without content", true, []byte{pduData, 0, 0, 0, 0, 0}, "abort 2 6", Violated},
		{"state 6, fragment longer than its PDU", true, []byte{pduData, 0, 0, 0, 0, 8, 0, 0, 0, 9, 1, 3, 0, 0}, "abort 2 6", Violated},
		{"state 6, fragment of 4 GB", true, []byte{pduData, 0, 0, 0, 0, 8, 0xFF, 0xFF, 0xFF, 0xFF, 1, 3, 0, 0}, "abort 2 6", Violated},
		{"state 6, fragment without header", true, []byte{pduData, 0, 0, 0, 0, 6, 0, 0, 0, 1, 1, 3}, "abort 2 6", Violated},
		{"state 6, bytes behind the last fragment", true, []byte{pduData, 0, 0, 0, 0, 9, 0, 0, 0, 2, 1, 1, 0, 0, 0}, "abort 2 6", Violated},
		{"state 6, dataset without command", true, data(3, flagLast, []byte("x")), "abort 2 2", Violated},
		{"state 6, context that was not proposed", true, commandPDU(9, echoRQ), "abort 2 6", Violated},
		{"state 6, even context", true, commandPDU(2, echoRQ), "abort 2 6", Violated},
		{"state 6, command in two contexts", true, slices.Concat(data(1, flagCommand, nil), data(3, flagCommand|flagLast, nil)), "abort 2 6", Violated},
		{"state 6, endless command", true, slices.Concat(data(1, flagCommand, make([]byte, 16<<10)), data(1, flagCommand, []byte{0})), "abort 2 6", Violated},
		{"state 6, command that does not parse", true, data(1, flagCommand|flagLast, []byte("xyz")), "abort 2 6", Violated},
		{"state 6, an answer to nothing", true, commandPDU(1, command{field: fieldEcho | fieldResponse, id: 1, datasetType: noDataset}), "abort 2 2", Violated},
		{"within a dataset, release", true, slices.Concat(store, releaseRQ), "abort 2 2", Violated},
		{"within a dataset, abort", true, slices.Concat(store, appendShort(nil, pduAbort, 0, 2, 0)), "", Aborted},
		{"within a dataset, command", true, slices.Concat(store, commandPDU(1, echoRQ)), "abort 2 2", Violated},
		{"within a dataset, another context", true, slices.Concat(store, data(1, flagLast, []byte("x"))), "abort 2 6", Violated},
		{"within a dataset, unknown PDU", true, slices.Concat(store, []byte{0xFF, 0, 0, 0, 0, 0}), "abort 2 1", Violated},
		{"cancel is passed over", true, slices.Concat(commandPDU(1, command{field: fieldCancel, id: 9, datasetType: noDataset}), releaseRQ), "release", Released},
		{"empty fragments are passed over", true, slices.Concat(store, data(3, 0, nil), data(3, 0, []byte("ab")), data(3, flagLast, nil), releaseRQ), "data, release", Released},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			shelf := newShelf()
			address, _ := serve(t, shelf.options(t))
			r := dialRaw(t, address)
			if c.associate {
				r.say(request(nil))
				if kind, _ := r.hear(); kind != pduAssociateAC {
					t.Fatalf("PDU %02XH instead of acceptance", kind)
				}
			}
			r.say(c.event)
			for _, want := range strings.Split(c.answer, ", ") {
				if want == "" {
					break
				}
				kind, body := r.hear()
				if got := words(kind, body); got != want {
					t.Errorf("answer %q, want %q", got, want)
				}
			}
			if c.answer != "" && !c.associate {
				r.conn.(*net.TCPConn).CloseWrite()
			}
			if c.answer == "" || !c.associate {
				r.gone()
			}
			r.conn.Close()
			if c.how == "refused" {
				shelf.waitRefused(t)
			} else if end := shelf.waitClosed(t); end.How != c.how {
				t.Errorf("ended as %+v, want %s", end, c.how)
			}
		})
	}
}

func words(kind byte, body []byte) string {
	switch kind {
	case pduAbort:
		return fmt.Sprintf("abort %d %d", body[2], body[3])
	case pduAssociateRJ:
		return fmt.Sprintf("reject %d %d %d", body[1], body[2], body[3])
	case pduAssociateAC:
		return "accept"
	case pduReleaseRP:
		return "release"
	case pduData:
		return "data"
	}
	return fmt.Sprintf("PDU %02XH", kind)
}

// TestRefusedServices: a peer that asks for what we do not do hears so in the
// standard's words, and the association goes on.
func TestRefusedServices(t *testing.T) {
	const find, move, get, nget, ncreate = 0x0020, 0x0021, 0x0010, 0x0110, 0x0140
	cases := []struct {
		name    string
		command command
		data    []byte
		want    Status
	}{
		{"C-FIND", command{field: find, class: findRoot}, []byte("query"), StatusClassNotSupported},
		{"C-MOVE", command{field: move, class: moveRoot}, []byte("query"), StatusClassNotSupported},
		{"C-GET", command{field: get, class: moveRoot}, nil, StatusClassNotSupported},
		{"N-GET", command{field: nget, class: mrImage}, nil, StatusUnrecognized},
		{"N-CREATE", command{field: ncreate, class: mrImage}, make([]byte, 100_000), StatusUnrecognized},
		{"N-ACTION", command{field: fieldAction, class: StorageCommitment, instance: commitmentInstance}, []byte("objects"), StatusUnrecognized},
		{"N-EVENT-REPORT outside its context", command{field: fieldEventReport, class: StorageCommitment}, []byte("x"), StatusUnrecognized},
		{"C-ECHO outside its context", command{field: fieldEcho, class: Verification}, nil, StatusClassNotSupported},
		{"C-STORE of another class", command{field: fieldStore, class: ctImage, instance: "1.2.3"}, []byte("image"), StatusClassNotSupported},
		{"C-STORE without instance", command{field: fieldStore, class: mrImage}, []byte("image"), StatusInvalidInstance},
		{"C-STORE of a path", command{field: fieldStore, class: mrImage, instance: "../../etc/passwd"}, []byte("image"), StatusInvalidInstance},
		{"C-STORE of a long name", command{field: fieldStore, class: mrImage, instance: strings.Repeat("1", 65)}, []byte("image"), StatusInvalidInstance},
		{"C-STORE without dataset", command{field: fieldStore, class: mrImage, instance: "1.2.3"}, nil, StatusCannotUnderstand},
		{"C-STORE that is right", command{field: fieldStore, class: mrImage, instance: "1.2.3"}, []byte("image"), StatusSuccess},
	}
	shelf := newShelf()
	address, _ := serve(t, shelf.options(t))
	r := dialRaw(t, address)
	r.say(request(nil))
	r.hear()
	for i, c := range cases {
		c.command.id, c.command.datasetType = uint16(i+1), noDataset
		if c.data != nil {
			c.command.datasetType = withDataset
		}
		r.say(commandPDU(3, c.command))
		if c.data != nil {
			r.say(data(3, flagLast, c.data))
		}
		kind, body := r.hear()
		if kind != pduData || body[5] != flagCommand|flagLast {
			t.Fatalf("%s: % x came as answer", c.name, body)
		}
		answer, err := parseCommand(body[pdvHeader:], "")
		if err != nil {
			t.Fatal(err)
		}
		if answer.status != c.want || answer.id != c.command.id || answer.field != c.command.field|fieldResponse ||
			answer.class != c.command.class || answer.instance != c.command.instance || answer.hasDataset() {
			t.Errorf("%s: answer %+v, want status %s", c.name, answer, c.want)
		}
	}
	r.say(releaseRQ)
	if kind, body := r.hear(); kind != pduReleaseRP {
		t.Errorf("% x answers the release", body)
	}
	r.conn.Close()
	if end := shelf.waitClosed(t); end.Objects != 1 || end.Failed != 5 {
		t.Errorf("the account is %+v, want 1 object and 5 failures", end)
	}
	if got, _ := shelf.object("1.2.3"); !bytes.Equal(got, []byte("image")) {
		t.Errorf("stored %q", got)
	}
}
