package dimse

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"
)

// unhex reads bytes as a person writes them: hexadecimal with blanks, and text in
// quotes.
func unhex(t testing.TB, text string) []byte {
	t.Helper()
	var b []byte
	for i, part := range strings.Split(text, "'") {
		if i%2 == 1 {
			b = append(b, part...)
			continue
		}
		digits, err := hex.DecodeString(strings.Join(strings.Fields(part), ""))
		if err != nil {
			t.Fatal(err)
		}
		b = append(b, digits...)
	}
	return b
}

const (
	zeros32 = "0000000000000000000000000000000000000000000000000000000000000000"
	// What a request has before its items: version 1, titles, reserved bytes.
	fixedPart = "0001 0000 'NEUROTRIAGE     ''SENDER          '" + zeros32
	// The application context item.
	contextName = "10 00 0015 '1.2.840.10008.3.1.1.1'"
)

// associateGoldens are whole PDUs beside what they say, put together by hand from
// PS3.8 9.3.2 and PS3.7 D.3.3.
var associateGoldens = []struct {
	name string
	kind byte
	text string
	want associate
}{
	{
		name: "request of two contexts with user information of all kinds", kind: pduAssociateRQ,
		text: `01 00 00000160` + fixedPart + contextName +
			`20 00 002E 01 00 00 00  30 00 0011 '1.2.840.10008.1.1'  40 00 0011 '1.2.840.10008.1.2'
			 20 00 004F 03 00 00 00  30 00 0019 '1.2.840.10008.5.1.4.1.1.4'  40 00 0013 '1.2.840.10008.1.2.1'
			                         40 00 0013 '1.2.840.10008.1.2.4'
			 50 00 007A  51 00 0004 00004000  52 00 0007 '1.2.3.4'  53 00 0004 0001 0001
			             54 00 0018 0014 '1.2.840.10008.1.20.1' 00 01
			             55 00 0008 'VENDOR_1'
			             58 00 0033 02 01 0005 'alice' 0028 '0123456789012345678901234567890123456789'`,
		want: associate{version: 1, context: applicationContext, contexts: []contextItem{
			{id: 1, abstract: Verification, syntaxes: []string{ImplicitVRLittleEndian}},
			{id: 3, abstract: mrImage, syntaxes: []string{ExplicitVRLittleEndian, "1.2.840.10008.1.2.4"}},
		}, user: userItem{maxPDU: 16384, classUID: "1.2.3.4", version: "VENDOR_1", async: true,
			roles:    []roleItem{{StorageCommitment, false, true}},
			identity: &identityItem{2, true, "alice", "0123456789012345678901234567890123456789"},
		}},
	},
	{
		name: "acceptance of one context of two", kind: pduAssociateAC,
		text: `02 00 000000B0` + fixedPart + contextName +
			`21 00 0019 01 00 00 00  40 00 0011 '1.2.840.10008.1.2'
			 21 00 0019 03 00 03 00  40 00 0011 '1.2.840.10008.1.2'
			 50 00 0015  51 00 0004 00020000  52 00 0003 '1.2'  59 00 0002 0000`,
		want: associate{version: 1, context: applicationContext, contexts: []contextItem{
			{id: 1, syntaxes: []string{ImplicitVRLittleEndian}},
			{id: 3, result: contextNoAbstract, syntaxes: []string{ImplicitVRLittleEndian}},
		}, user: userItem{maxPDU: 131072, classUID: "1.2", answered: true}},
	},
}

func TestAssociateGoldens(t *testing.T) {
	for _, c := range associateGoldens {
		t.Run(c.name, func(t *testing.T) {
			want := unhex(t, c.text)
			c.want.setTitles("NEUROTRIAGE", "SENDER")
			written := c.want.append(nil, c.kind)
			if !bytes.Equal(written, want) {
				t.Errorf("written\n%swant\n%s", hex.Dump(written), hex.Dump(want))
			}
			got, err := parseAssociate(want[pduHeader:])
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(*got, c.want) {
				t.Errorf("read    %+v\nwant %+v", *got, c.want)
			}
			if got.called() != "NEUROTRIAGE" || got.calling() != "SENDER" {
				t.Errorf("titles %q and %q", got.called(), got.calling())
			}
		})
	}
}

func TestAssociateFaults(t *testing.T) {
	cases := []struct{ name, text, complaint string }{
		{"empty", "", "0 bytes, less than its fixed part"},
		{"within the titles", "0001 0000 'NEUROTRIAGE'", "less than its fixed part"},
		{"within an item's head", fixedPart + "10 00 00", "3 bytes are left where an item should be"},
		{"an item longer than the PDU", fixedPart + "10 00 FFFF '1.2'", "item 10H is 65535 bytes long and 3 are left"},
		{"a context without id", fixedPart + "20 00 0002 01 00", "a presentation context of 2 bytes"},
		{"an even context id", fixedPart + "20 00 0004 02 00 00 00", "presentation context 2, which is even"},
		{"a transfer syntax longer than its context", fixedPart + "20 00 0008 01 00 00 00 40 00 0009", "item 40H is 9 bytes long and 0 are left"},
		{"a maximum length of two bytes", fixedPart + "50 00 0006 51 00 0002 4000", "a maximum length of 2 bytes"},
		{"a role that overruns", fixedPart + "50 00 0008 54 00 0004 0009 3132", "a role selection that does not add up"},
		{"a role without flags", fixedPart + "50 00 0007 54 00 0003 0001 31", "a role selection that does not add up"},
		{"an identity of one byte", fixedPart + "50 00 0005 58 00 0001 02", "a user identity that does not add up"},
		{"an identity that overruns", fixedPart + "50 00 0009 58 00 0005 01 00 0002 31", "a user identity that does not add up"},
		{"a passcode that is missing", fixedPart + "50 00 0009 58 00 0005 02 00 0001 31", "a user identity that does not add up"},
		{"129 contexts", fixedPart + strings.Repeat("20 00 0004 01 00 00 00", 129), "more than 128 presentation contexts"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := parseAssociate(unhex(t, c.text))
			v, ok := errors.AsType[*violation](err)
			if !ok || v.reason != abortInvalidValue || !strings.Contains(v.text, c.complaint) {
				t.Errorf("error %v, want a violation with %q", err, c.complaint)
			}
		})
	}
}

func TestPaddingOfOtherSystemsIsUnderstood(t *testing.T) {
	a, err := parseAssociate(unhex(t, `0001 0000 'NEUROTRIAGE' 0000000000 '   SENDER       '`+zeros32+`
		20 00 0018 01 00 00 00  30 00 0002 '1' 00  40 00 000A '1.2.840.1' 00
		77 00 0002 0000`)) // an item that nobody knows
	if err != nil {
		t.Fatal(err)
	}
	if a.called() != "NEUROTRIAGE" || a.calling() != "SENDER" {
		t.Errorf("titles %q and %q", a.called(), a.calling())
	}
	if c := a.contexts[0]; c.abstract != "1" || c.syntaxes[0] != "1.2.840.1" {
		t.Errorf("context %+v", c)
	}
}

func TestValidUID(t *testing.T) {
	for uid, want := range map[string]bool{
		"1.2.840.10008.1.1": true, "0": true, "1.02": true, strings.Repeat("1", 64): true,
		"": false, strings.Repeat("1", 65): false, ".1": false, "1.": false, "1..2": false, "..": false, "1.2/3": false, "1.a": false, "1.2\x00": false,
	} {
		if ValidUID(uid) != want {
			t.Errorf("ValidUID(%q) is %v", uid, !want)
		}
	}
}

func TestValidTitle(t *testing.T) {
	for title, want := range map[string]bool{
		"A": true, "MR SCANNER 1": true, "SIXTEEN_LETTERS_": true,
		"": false, "SEVENTEEN_LETTERS": false, "A\\B": false, "A\nB": false, "Ä": false,
	} {
		if validTitle(title) != want {
			t.Errorf("validTitle(%q) is %v", title, !want)
		}
	}
}
