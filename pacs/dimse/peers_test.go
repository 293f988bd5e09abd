package dimse

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"
)

// These tests speak with programs that are not ours.

const (
	rle      = "1.2.840.10008.1.2.5"
	lossless = "1.2.840.10008.1.2.4.70"
	jpeg2000 = "1.2.840.10008.1.2.4.90"
)

// program finds a peer or skips the test.
func program(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed", name)
	}
	return path
}

// file is a DICOM file, divided.
type file struct {
	path, instance, syntax string
	dataset                []byte
}

// realFiles are one MR image in several transfer syntaxes.
func realFiles(t testing.TB) []file {
	t.Helper()
	root := os.Getenv("NEUROTRIAGE_DATA")
	if root == "" {
		root = "../../../shared/data"
	}
	paths, _ := filepath.Glob(filepath.Join(root, "dicom/transfer-syntaxes/*.dcm"))
	if len(paths) == 0 {
		t.Skipf("no data at %s: set NEUROTRIAGE_DATA", root)
	}
	var files []file
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		end := 144 + int(binary.LittleEndian.Uint32(b[140:])) // behind the file meta information
		f := file{path: path, dataset: b[end:]}
		for e, err := range elements(b[132:end], true) {
			switch {
			case err != nil:
				t.Fatal(err)
			case e.tag == 0x00020003:
				f.instance = trimUID(string(e.value))
			case e.tag == 0x00020010:
				f.syntax = trimUID(string(e.value))
			}
		}
		files = append(files, f)
	}
	return files
}

func anySyntax(o ServerOptions, files []file) ServerOptions {
	for _, f := range files {
		o.TransferSyntaxes = append(o.TransferSyntaxes, f.syntax)
	}
	return o
}

// sameImage compares the second half of two datasets, which is pixels: senders
// write the elements before them anew, each in its own manner.
func sameImage(got, want []byte) bool { return bytes.HasSuffix(got, want[len(want)/2:]) }

// run runs a peer to its end.
func run(t testing.TB, name string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), generous)
	defer cancel()
	out, err := exec.CommandContext(ctx, program(t, name), args...).CombinedOutput()
	return string(out), err
}

func TestDcmtkSendsToUs(t *testing.T) {
	files := realFiles(t)
	for _, secure := range []bool{false, true} {
		t.Run(map[bool]string{false: "plain", true: "TLS with client certificate"}[secure], func(t *testing.T) {
			shelf := newShelf()
			o := anySyntax(shelf.options(t), files)
			var args []string
			if secure {
				ca := newAuthority(t)
				o.TLS = ca.mutual(t)
				key, cert, trusted := ca.files(t, ca.issue(t, "scanner"))
				args = []string{"+tls", key, cert, "+cf", trusted}
			}
			address, _ := serve(t, o)
			host, port, _ := net.SplitHostPort(address)
			args = append(args, "-aet", "DCMTK", "-aec", "NEUROTRIAGE", host, port)
			if out, err := run(t, "echoscu", args...); err != nil {
				t.Errorf("echoscu: %v\n%s", err, out)
			}
			flags := map[string]string{ExplicitVRLittleEndian: "-xe", ImplicitVRLittleEndian: "-xi", rle: "-xr", lossless: "-xs", jpegLS: "-xt", jpeg2000: "-xv"}
			for _, f := range files {
				propose, ok := flags[f.syntax]
				if !ok {
					continue
				}
				if out, err := run(t, "storescu", append([]string{propose}, append(args, f.path)...)...); err != nil {
					t.Errorf("storescu %s: %v\n%s", propose, err, out)
				}
				shelf.mu.Lock()
				last := shelf.requests[len(shelf.requests)-1]
				shelf.mu.Unlock()
				if got, _ := shelf.object(f.instance); last.TransferSyntaxUID != f.syntax || !sameImage(got, f.dataset) {
					t.Errorf("storescu %s: %d bytes arrived in transfer syntax %s, want %s", propose, len(got), last.TransferSyntaxUID, f.syntax)
				}
				delete(flags, f.syntax)
			}
			if len(flags) > 0 {
				t.Errorf("the data has no file for %v", flags)
			}
			if secure {
				if got := shelf.opened[0].TLSSubject; got != "CN=scanner,O=Radiology" {
					t.Errorf("the peer's subject is %q", got)
				}
				if out, err := run(t, "echoscu", host, port); err == nil {
					t.Errorf("without TLS it gets in: %s", out)
				}
			}
		})
	}
}

func TestDcmtkAsksForWhatWeDoNotDo(t *testing.T) {
	shelf := newShelf()
	o := shelf.options(t)
	o.AETitles = []string{"NEUROTRIAGE"}
	address, _ := serve(t, o)
	host, port, _ := net.SplitHostPort(address)
	out, err := run(t, "findscu", "-S", "-aec", "NEUROTRIAGE", "-k", "QueryRetrieveLevel=STUDY", "-k", "PatientID", host, port)
	if err == nil || !strings.Contains(out, "No Acceptable Presentation Contexts") {
		t.Errorf("findscu: %v\n%s", err, out)
	}
	out, err = run(t, "echoscu", "-aec", "SOMEBODY", host, port)
	if err == nil || !strings.Contains(out, "Called AE Title Not Recognized") {
		t.Errorf("echoscu: %v\n%s", err, out)
	}
}

// start starts a peer that serves until the test's end.
func start(t testing.TB, name string, args ...string) (in *bufio.Reader) {
	t.Helper()
	command := exec.CommandContext(t.Context(), program(t, name), args...)
	command.Stderr = testWriter{t}
	command.WaitDelay = time.Second
	stdin, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		command.Process.Kill()
		command.Wait()
	})
	return bufio.NewReader(out)
}

func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// untilAnswered waits for a peer that is starting.
func untilAnswered(t testing.TB, o ClientOptions) *Conn {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for end := time.After(generous); ; {
		c, err := Dial(t.Context(), o)
		if err == nil {
			t.Cleanup(func() { c.Abort() })
			return c
		}
		select {
		case <-tick.C:
		case <-end:
			t.Fatal(err)
		}
	}
}

func TestWeSendToDcmtk(t *testing.T) {
	files := realFiles(t)
	ca := newAuthority(t)
	key, cert, trusted := ca.files(t, ca.issue(t, "archive"))
	cases := []struct {
		name   string
		args   []string
		secure bool
	}{
		{"storescp", nil, false},
		{"storescp --fork", []string{"--fork"}, false},
		{"storescp with small PDUs", []string{"--max-pdu", "4096"}, false},
		{"storescp over TLS with client certificate", []string{"+tls", key, cert, "+cf", trusted, "-rc"}, true},
	}
	for _, each := range cases {
		t.Run(each.name, func(t *testing.T) {
			folder, address := t.TempDir(), freeAddress(t)
			_, port, _ := net.SplitHostPort(address)
			start(t, "storescp", append(each.args, "+xa", "+B", "-aet", "ARCHIVE", "-od", folder, port)...)
			o := ClientOptions{Address: address, Calling: "NEUROTRIAGE", Called: "ARCHIVE", Propose: []Proposal{{SOPClass: Verification}}}
			if each.secure {
				o.TLS = SecureTLS(&tls.Config{RootCAs: ca.pool, Certificates: []tls.Certificate{ca.issue(t, "triage")}})
			}
			for _, f := range files {
				o.Propose = append(o.Propose, Proposal{mrImage, []string{f.syntax}})
			}
			c := untilAnswered(t, o)
			if err := c.Echo(t.Context()); err != nil {
				t.Error(err)
			}
			for _, f := range files {
				object := Object{SOPClassUID: mrImage, SOPInstanceUID: f.instance, TransferSyntaxUID: f.syntax, Data: bytes.NewReader(f.dataset)}
				if err := c.Store(t.Context(), object); err != nil {
					t.Errorf("%s: %v", f.syntax, err)
					continue
				}
				stored, err := os.ReadFile(filepath.Join(folder, "MR."+f.instance))
				if err != nil || !bytes.HasSuffix(stored, f.dataset) {
					t.Errorf("%s: %d bytes are stored that differ, %v", f.syntax, len(stored), err)
				}
			}
			if err := c.Release(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// python finds a Python with pynetdicom: the one that CI installs, or any.
func python(t testing.TB) string {
	t.Helper()
	for _, name := range []string{os.Getenv("NEUROTRIAGE_TEST_PYTHON"), "python3"} {
		if path, err := exec.LookPath(name); err == nil && exec.CommandContext(t.Context(), path, "-c", "import pynetdicom").Run() == nil {
			return path
		}
	}
	t.Skip("no Python with pynetdicom: set NEUROTRIAGE_TEST_PYTHON")
	return ""
}

func TestPynetdicomSendsToUs(t *testing.T) {
	python, files := python(t), realFiles(t)
	shelf := newShelf()
	o := anySyntax(shelf.options(t), files)
	address, _ := serve(t, o)
	host, port, _ := net.SplitHostPort(address)
	args := []string{"testdata/pynetdicom_peer.py", "send", host, port}
	want := "echo 0000\n"
	var sent []file
	for _, f := range files {
		if f.syntax != "1.2.840.10008.1.2.2" { // it sends big endian in another byte order
			args, want, sent = append(args, f.path), want+"store 0000\n", append(sent, f)
		}
	}
	out, err := run(t, python, args...)
	if err != nil || out != want {
		t.Errorf("%v\n%s", err, out)
	}
	if end := shelf.waitClosed(t); end.How != Released || end.Objects != len(sent) {
		t.Errorf("ended as %+v", end)
	}
	last := sent[len(sent)-1]
	if got, _ := shelf.object(last.instance); !sameImage(got, last.dataset) {
		t.Errorf("%d bytes arrived that differ", len(got))
	}
}

func TestPynetdicomKeepsAndCommits(t *testing.T) {
	python := python(t)
	folder := t.TempDir()
	line, err := start(t, python, "testdata/pynetdicom_peer.py", "receive", folder).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	shelf := newShelf()
	o := shelf.options(t)
	o.Committed = func(_ context.Context, a Association, c Commitment) error {
		if a.Calling != "PYNETDICOM" {
			t.Errorf("the report comes from %+v", a)
		}
		shelf.results <- c
		return nil
	}
	address, _ := serve(t, o)
	_, port, _ := net.SplitHostPort(address)
	c := dial(t, "127.0.0.1:"+strings.TrimSpace(line), func(o *ClientOptions) {
		o.Called = "PYNETDICOM"
		o.Propose = append(o.Propose, Proposal{SOPClass: StorageCommitment})
	})
	// A dataset that is whole: SOP class, SOP instance.
	uid := "1.2." + strconv.Itoa(os.Getpid())
	content := appendUID(appendUID(nil, true, 0x00080016, mrImage), true, 0x00080018, uid)
	if err := c.Store(t.Context(), mr(uid, content)); err != nil {
		t.Fatal(err)
	}
	if stored, err := os.ReadFile(filepath.Join(folder, uid+".dcm")); err != nil || !bytes.HasSuffix(stored, content) {
		t.Errorf("stored %q, %v", stored, err)
	}
	transaction := "1.2." + port
	if err := c.Commit(t.Context(), transaction, []SOPRef{{mrImage, uid}, {mrImage, "1.2.3.4"}}); err != nil {
		t.Fatal(err)
	}
	want := Commitment{transaction, []SOPRef{{mrImage, uid}}, []CommitmentFailure{{SOPRef{mrImage, "1.2.3.4"}, 0x0112}}}
	select {
	case got := <-shelf.results:
		if !reflect.DeepEqual(got, want) {
			t.Errorf("report %+v, want %+v", got, want)
		}
	case <-time.After(generous):
		t.Fatal("no report came")
	}
	if err := c.Release(t.Context()); err != nil {
		t.Error(err)
	}
}
