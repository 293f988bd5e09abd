package dimse

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

var report = Commitment{
	TransactionUID: "1.2.9",
	Stored:         []SOPRef{{mrImage, "1.2.1"}, {ctImage, "1.2.22"}},
	Failed:         []CommitmentFailure{{SOPRef{mrImage, "1.2.3"}, 0x0112}},
}

// appendReport writes a report as a storage SCP does, with sequences of defined or
// undefined length.
func appendReport(explicit, undefined bool, c Commitment) []byte {
	wrap := func(b []byte, tag uint32, vr string, content []byte, end uint32) []byte {
		if !undefined {
			return appendData(b, explicit, tag, vr, content)
		}
		b = appendData(b, explicit, tag, vr, nil)
		copy(b[len(b)-4:], "\xFF\xFF\xFF\xFF")
		return appendData(append(b, content...), explicit, end, "", nil)
	}
	ref := func(r SOPRef) []byte {
		return appendUID(appendUID(nil, explicit, tagReferencedClass, r.SOPClassUID), explicit, tagReferencedInstance, r.SOPInstanceUID)
	}
	var stored, failed []byte
	for _, r := range c.Stored {
		stored = wrap(stored, tagItem, "", ref(r), tagItemEnd)
	}
	for _, r := range c.Failed {
		item := appendData(ref(r.SOPRef), explicit, tagFailureReason, "US", []byte{byte(r.Reason), byte(r.Reason >> 8)})
		// An element that nobody asked for, with a sequence of its own.
		item = wrap(item, 0x00400555, "SQ", wrap(nil, tagItem, "", ref(r.SOPRef), tagItemEnd), tagSequenceEnd)
		failed = wrap(failed, tagItem, "", item, tagItemEnd)
	}
	b := appendData(nil, explicit, 0x00080054, "AE", []byte("ARCHIVE "))
	b = appendUID(b, explicit, tagTransaction, c.TransactionUID)
	b = wrap(b, tagFailedSequence, "SQ", failed, tagSequenceEnd)
	return wrap(b, tagReferencedSequence, "SQ", stored, tagSequenceEnd)
}

func TestReportsAreRead(t *testing.T) {
	for _, explicit := range []bool{false, true} {
		for _, undefined := range []bool{false, true} {
			got, err := parseCommitment(appendReport(explicit, undefined, report), explicit)
			if err != nil || !reflect.DeepEqual(got, report) {
				t.Errorf("explicit %v, undefined lengths %v: %+v, %v", explicit, undefined, got, err)
			}
		}
	}
}

// TestRequestGolden fixes what a request for storage commitment looks like.
func TestRequestGolden(t *testing.T) {
	for explicit, text := range map[bool]string{
		false: `0800 9511 06000000 '1.2.9' 00
			0800 9911 36000000   FEFF 00E0 2E000000
			  0800 5011 1A000000 '1.2.840.10008.5.1.4.1.1.4' 00   0800 5511 04000000 '1.23'`,
		true: `0800 9511 'UI' 0600 '1.2.9' 00
			0800 9911 'SQ' 0000 36000000   FEFF 00E0 2E000000
			  0800 5011 'UI' 1A00 '1.2.840.10008.5.1.4.1.1.4' 00   0800 5511 'UI' 0400 '1.23'`,
	} {
		want := unhex(t, text)
		if got := appendRequest(nil, explicit, "1.2.9", []SOPRef{{mrImage, "1.23"}}); !bytes.Equal(got, want) {
			t.Errorf("explicit %v: written\n%swant\n%s", explicit, hex.Dump(got), hex.Dump(want))
		}
	}
}

func TestReportFaults(t *testing.T) {
	whole := appendReport(true, true, report)
	deep := bytes.Repeat(unhex(t, "0800 9911 'SQ' 0000 FFFFFFFF FEFF 00E0 FFFFFFFF"), 100_000)
	cases := []struct {
		name, complaint string
		data            []byte
	}{
		{"empty", "transaction UID \"\" is none", nil},
		{"cut short", "ends within an element", whole[:len(whole)-9]},
		{"sequences within sequences", "nested more than 8 deep", deep},
		{"a length beyond the end", "ends within an element", unhex(t, "0800 9511 'UI' FFFF '1.2'")},
		{"4 GB", "ends within an element", unhex(t, "0800 9911 'SQ' 0000 FEFFFFFF 00")},
		{"no item", "element (0008,1150) where an item should be", unhex(t, "0800 9911 'SQ' 0000 0A000000 0800 5011 'UI' 0200 '1' 00")},
		{"an item without names", "an object is named \"\"", unhex(t, "0800 9911 'SQ' 0000 08000000 FEFF 00E0 00000000")},
		{"a transaction that is no UID", "transaction UID \"a/b\" is none", unhex(t, "0800 9511 'UI' 0400 'a/b' 00")},
	}
	for _, c := range cases {
		if _, err := parseCommitment(c.data, true); err == nil || !strings.Contains(err.Error(), c.complaint) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.complaint)
		}
	}
}

// TestReportsReachTheServer: a storage SCP calls back, in its role.
func TestReportsReachTheServer(t *testing.T) {
	rq := request(func(rq *associate) {
		rq.contexts = append(rq.contexts, contextItem{id: 5, abstract: StorageCommitment, syntaxes: plainSyntaxes()})
		rq.user.roles = []roleItem{{StorageCommitment, false, true}}
	})
	event := command{field: fieldEventReport, id: 1, class: StorageCommitment, instance: commitmentInstance, kind: eventWithFailed, datasetType: withDataset}
	good := appendReport(true, false, report)
	cases := []struct {
		name   string
		change func(*command)
		data   []byte
		fault  error // of the callee
		want   Status
	}{
		{"a report", nil, good, nil, StatusSuccess},
		{"a callee that cannot keep it", nil, good, errors.New("no disk"), StatusProcessingFailure},
		{"an unknown event", func(c *command) { c.kind = 9 }, good, nil, statusNoSuchEvent},
		{"another instance", func(c *command) { c.instance = "1.2.3" }, good, nil, StatusNoSuchInstance},
		{"another class", func(c *command) { c.class = mrImage }, good, nil, StatusClassNotSupported},
		{"nonsense", nil, []byte("nonsense!"), nil, StatusInvalidArgument},
		{"too much", nil, make([]byte, maxCommitment+2), nil, StatusProcessingFailure},
		{"a report again", nil, good, nil, StatusSuccess},
	}
	shelf := newShelf()
	o := shelf.options(t)
	var fault error
	o.Committed = func(_ context.Context, a Association, c Commitment) error {
		if a.Calling != "SENDER" {
			return fmt.Errorf("peer is %+v", a)
		}
		shelf.results <- c
		return fault
	}
	address, _ := serve(t, o)
	r := dialRaw(t, address)
	r.say(rq)
	kind, body := r.hear()
	ac, err := parseAssociate(body)
	if kind != pduAssociateAC || err != nil || !slices.Equal(ac.user.roles, []roleItem{{StorageCommitment, false, true}}) || ac.contexts[2].result != 0 {
		t.Fatalf("%s with %+v, %v", words(kind, body), ac, err)
	}
	for _, c := range cases {
		fault = c.fault
		m := event
		if c.change != nil {
			c.change(&m)
		}
		r.say(commandPDU(5, m))
		for part := range slices.Chunk(c.data, 60_000) {
			r.say(data(5, 0, part))
		}
		r.say(data(5, flagLast, nil))
		_, body := r.hear()
		answer, err := parseCommand(body[pdvHeader:], "")
		if err != nil || answer.status != c.want || answer.field != fieldEventReport|fieldResponse || answer.kind != m.kind {
			t.Errorf("%s: answer %+v, %v, want %s", c.name, answer, err, c.want)
		}
		if c.want == StatusSuccess || c.fault != nil { // the callee was asked
			if got := <-shelf.results; !reflect.DeepEqual(got, report) {
				t.Errorf("%s: the callee gets %+v", c.name, got)
			}
		}
	}
}

// TestCommitOnTheSameAssociation: the report comes while we wait for it, or in the
// middle of something else.
func TestCommitOnTheSameAssociation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, r := fakePeer(t)
		event := command{field: fieldEventReport, id: 44, class: StorageCommitment, instance: commitmentInstance, kind: eventWithFailed, datasetType: withDataset}
		heard := make(chan []string, 1)
		go func() {
			var all []string
			next := func() {
				_, body, err := readPDU(r.conn)
				if err != nil {
					return
				}
				if body[5]&flagCommand == 0 {
					all = append(all, fmt.Sprintf("dataset of %d bytes", len(body)-pdvHeader))
					return
				}
				c, _ := parseCommand(body[pdvHeader:], "")
				all = append(all, fmt.Sprintf("%04X %s", c.field, c.status.words()))
			}
			answer := command{field: fieldAction | fieldResponse, id: 1, class: StorageCommitment, instance: commitmentInstance, datasetType: noDataset, kind: 1}
			next() // N-ACTION
			next()
			r.say(commandPDU(5, answer))
			r.say(slices.Concat(commandPDU(5, event), data(5, flagLast, appendReport(true, true, report))))
			next() // answer to the report
			next() // C-ECHO
			r.say(slices.Concat(commandPDU(5, event), data(5, flagLast, []byte("nonsense!"))))
			next()
			r.say(slices.Concat(commandPDU(5, event), data(5, flagLast, appendReport(true, false, report))))
			next()
			echo := echoRQ
			echo.id = 2
			r.say(commandPDU(1, echo.answer(StatusSuccess)))
			heard <- all
		}()
		if err := conn.Commit(t.Context(), "1.2.9", []SOPRef{{mrImage, "1.2.1"}, {ctImage, "1.2.22"}}); err != nil {
			t.Fatal(err)
		}
		if got, err := conn.Committed(t.Context()); err != nil || !reflect.DeepEqual(got, report) {
			t.Errorf("report %+v, %v", got, err)
		}
		if err := conn.Echo(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got, err := conn.Committed(t.Context()); err != nil || !reflect.DeepEqual(got, report) {
			t.Errorf("report during an echo %+v, %v", got, err)
		}
		want := []string{"0130 success", "dataset of 138 bytes", "8100 success", "0030 success", "8100 invalid argument value", "8100 success"}
		if got := <-heard; !slices.Equal(got, want) {
			t.Errorf("the peer hears %q, want %q", got, want)
		}
		r.conn.Close()
	})
}
