package dimse

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
)

// commandGoldens are command sets beside what they say, after PS3.7 9.3, 10.3.
var commandGoldens = []struct {
	name    string
	text    string
	command command
}{
	{
		"C-ECHO-RQ",
		`0000 0000 04000000 38000000   0000 0200 12000000 '1.2.840.10008.1.1' 00
		 0000 0001 02000000 3000       0000 1001 02000000 0700   0000 0008 02000000 0101`,
		command{field: fieldEcho, id: 7, class: Verification, datasetType: noDataset},
	},
	{
		"C-STORE-RQ",
		`0000 0000 04000000 5E000000   0000 0200 1A000000 '1.2.840.10008.5.1.4.1.1.4' 00
		 0000 0001 02000000 0100       0000 1001 02000000 0100   0000 0007 02000000 0100
		 0000 0008 02000000 0100       0000 0010 0C000000 '1.2.276.0.7' 00`,
		command{field: fieldStore, id: 1, class: mrImage, priority: 1, datasetType: withDataset, instance: "1.2.276.0.7"},
	},
	{
		"C-STORE-RSP, out of resources",
		`0000 0000 04000000 76000000   0000 0200 1A000000 '1.2.840.10008.5.1.4.1.1.4' 00
		 0000 0001 02000000 0180       0000 2001 02000000 0100   0000 0008 02000000 0101
		 0000 0009 02000000 00A7       0000 0209 10000000 'out of resources'
		 0000 0010 0C000000 '1.2.276.0.7' 00`,
		command{field: fieldStore | fieldResponse, id: 1, class: mrImage, instance: "1.2.276.0.7", datasetType: noDataset,
			status: StatusOutOfResources, comment: "out of resources"},
	},
	{
		"N-ACTION-RQ",
		`0000 0000 04000000 62000000   0000 0300 14000000 '1.2.840.10008.1.20.1'
		 0000 0001 02000000 3001       0000 1001 02000000 0200   0000 0008 02000000 0100
		 0000 0110 16000000 '1.2.840.10008.1.20.1.1'             0000 0810 02000000 0100`,
		command{field: fieldAction, id: 2, class: StorageCommitment, instance: commitmentInstance, datasetType: withDataset, kind: 1},
	},
	{
		"N-EVENT-REPORT-RSP",
		`0000 0000 04000000 6C000000   0000 0200 14000000 '1.2.840.10008.1.20.1'
		 0000 0001 02000000 0081       0000 2001 02000000 0300   0000 0008 02000000 0101
		 0000 0009 02000000 0000       0000 0010 16000000 '1.2.840.10008.1.20.1.1'   0000 0210 02000000 0200`,
		command{field: fieldEventReport | fieldResponse, id: 3, class: StorageCommitment, instance: commitmentInstance,
			datasetType: noDataset, kind: 2},
	},
}

func TestCommandGoldens(t *testing.T) {
	for _, c := range commandGoldens {
		t.Run(c.name, func(t *testing.T) {
			want := unhex(t, c.text)
			if got := c.command.append(nil); !bytes.Equal(got, want) {
				t.Errorf("written\n%swant\n%s", hex.Dump(got), hex.Dump(want))
			}
			got, err := parseCommand(want, c.command.class)
			if err != nil {
				t.Fatal(err)
			}
			if got != c.command {
				t.Errorf("read    %+v\nwant %+v", got, c.command)
			}
		})
	}
}

func TestCommandFaults(t *testing.T) {
	const echo = "0000 0001 02000000 3000"
	cases := []struct{ name, text, complaint string }{
		{"nothing", "", "without command field"},
		{"only a message id", "0000 1001 02000000 0700", "without command field"},
		{"within an element's head", echo + "0000 1001 0200", "ends within an element"},
		{"a length beyond the end", echo + "0000 0010 FFFFFFFF", "(0000,1000) is 4294967295 bytes long and 0 are left"},
		{"a value cut short", echo + "0000 0200 10000000 '1.2'", "(0000,0002) is 16 bytes long and 3 are left"},
		{"an element of another group", echo + "0800 1800 02000000 3100", "element (0008,0018) in a command set"},
		{"a number of four bytes", "0000 0001 04000000 30000000", "(0000,0100) is 4 bytes long instead of 2"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := parseCommand(unhex(t, c.text), "")
			v, ok := errors.AsType[*violation](err)
			if !ok || v.reason != abortInvalidValue || !strings.Contains(v.text, c.complaint) {
				t.Errorf("error %v, want a violation with %q", err, c.complaint)
			}
		})
	}
}

func TestStatusWords(t *testing.T) {
	for status, want := range map[Status]string{
		0x0000: "0000H success", 0xA700: "A700H out of resources", 0xA7FF: "A7FFH out of resources",
		0xA900: "A900H dataset does not match SOP class", 0xC123: "C123H cannot understand", 0xB000: "B000H coercion of data elements",
		0xB007: "B007H warning", 0x0122: "0122H SOP class not supported", 0x0999: "0999H failure",
	} {
		if got := status.String(); got != want {
			t.Errorf("status %04XH reads %q, want %q", uint16(status), got, want)
		}
		if failed := status != 0 && status>>12 != 0xB; status.Failed() != failed {
			t.Errorf("status %s: Failed is %v", status, !failed)
		}
		if len(comment(status)) > 64 || len(comment(status))%2 == 1 {
			t.Errorf("the comment %q is no LO of even length", comment(status))
		}
	}
}
