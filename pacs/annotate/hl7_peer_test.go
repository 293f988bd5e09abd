package annotate_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"neurotriage/pacs"
	"neurotriage/pacs/annotate"
)

// TestHL7ToAForeignListener sends to python-hl7's own server: a message that is
// taken, one that is turned away, and one whose first delivery gets no answer.
func TestHL7ToAForeignListener(t *testing.T) {
	python := os.Getenv("NEUROTRIAGE_TEST_PYTHON")
	if python == "" {
		t.Skip("NEUROTRIAGE_TEST_PYTHON names no Python with the packages of .ci/peers.txt")
	}
	cmd := exec.CommandContext(t.Context(), python, "testdata/listener.py")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		t.Fatal("the listener says no port")
	}
	address := "127.0.0.1:" + lines.Text()
	cases := []struct {
		name, processing string
		ends             []string // of one attempt after the other
	}{
		{"taken", "P", []string{kept}}, {"turned away", "T", []string{again}}, {"taken at the second attempt", "D", []string{outage, kept}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			control := "NT" + strings.Repeat(c.processing, 18)
			h := annotate.NewHL7(annotate.HL7Options{Address: address, Encode: func(pacs.Parcel) ([]byte, string) {
				return fmt.Appendf(nil, "MSH|^~\\&|A|B|C|D|20260302||ORU^R01^ORU_R01|%s|%s|2.5.1||||||UNICODE UTF-8\r"+
					"PID|1||7||Müller^Zoë\\F\\\rOBR|1|||||||||||||||||A\\S\\1\r", control, c.processing), control
			}})
			for _, end := range c.ends {
				check(t, h.Deliver(t.Context(), parcel()), end, "")
				var got struct{ Control, Name, Accession string }
				if !lines.Scan() || json.Unmarshal(lines.Bytes(), &got) != nil {
					t.Fatalf("the listener says %q", lines.Text())
				}
				if got.Control != control || got.Name != "Müller^Zoë|" || got.Accession != "A^1" {
					t.Errorf("the listener read %+v", got)
				}
			}
		})
	}
}
