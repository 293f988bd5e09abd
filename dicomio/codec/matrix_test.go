package codec_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"neurotriage/dicomio/codec"
	"neurotriage/dicomio/codec/internal/peer"
	"neurotriage/dicomio/codec/jpeg"
	"neurotriage/dicomio/codec/jpeg2000"
	"neurotriage/dicomio/codec/jpegls"
)

var results = flag.String("results", "", "folder for codecs.json and codecs.md, measured on 1024 × 1024 pixels")

// road is one transfer syntax with a program that writes it and one that reads it.
type road struct {
	syntax  string
	depths  []int
	signed  bool // the program takes signed pictures
	lossy   bool
	decode  func(dst, src []byte, frame codec.Frame) error
	encode  func(t *testing.T, p peer.Picture) string // gives a file
	inDICOM bool
	reader  string // of the peer
	back    func(t *testing.T, path string, p peer.Picture) ([]int32, time.Duration)
}

var every = []int{8, 10, 12, 16}

var roads = []road{
	{"JPEG baseline .50", []int{8}, false, true, jpeg.Decode, dcmtk("dcmcjpeg", "+eb", "+q", "90"), true, "dcmdjpeg", dcmtkBack("dcmdjpeg")},
	{"JPEG extended .51", []int{8, 12}, false, true, jpeg.Decode, dcmtk("dcmcjpeg", "+ee", "+q", "90"), true, "dcmdjpeg", dcmtkBack("dcmdjpeg")},
	{"JPEG lossless .57, predictor 4", every, true, false, jpeg.Decode, dcmtk("dcmcjpeg", "+el", "+sv", "4"), true, "dcmdjpeg", dcmtkBack("dcmdjpeg")},
	{"JPEG lossless .57, predictor 7", every, true, false, jpeg.Decode, dcmtk("dcmcjpeg", "+el", "+sv", "7"), true, "dcmdjpeg", dcmtkBack("dcmdjpeg")},
	{"JPEG lossless .70", every, true, false, jpeg.Decode, dcmtk("dcmcjpeg", "+e1"), true, "dcmdjpeg", dcmtkBack("dcmdjpeg")},
	{"JPEG-LS lossless .80", every, true, false, jpegls.Decode, dcmtk("dcmcjpls", "+el"), true, "dcmdjpls", dcmtkBack("dcmdjpls")},
	{"JPEG-LS near-lossless .81", every, false, true, jpegls.Decode, dcmtk("dcmcjpls", "+en", "+md", "2"), true, "dcmdjpls", dcmtkBack("dcmdjpls")},
	{"JPEG 2000 lossless .90", every, true, false, jpeg2000.Decode, openJPEG(), false, "opj_decompress", openJPEGBack},
	{"JPEG 2000 .91", every, true, true, jpeg2000.Decode, openJPEG("-I", "-r", "8"), false, "opj_decompress", openJPEGBack},
	{"HTJ2K lossless .201", every, true, false, jpeg2000.Decode, openJPH("-reversible", "true", "-prog_order", "LRCP"), false, "ojph_expand", openJPHBack},
	{"HTJ2K lossless RPCL .202", every, true, false, jpeg2000.Decode, openJPH("-reversible", "true"), false, "ojph_expand", openJPHBack},
	{"HTJ2K .203", every, false, true, jpeg2000.Decode, openJPH("-qstep", "0.002"), false, "ojph_expand", openJPHBack},
}

// row is one line of the matrix.
type row struct {
	Syntax string  `json:"syntax"`
	Bits   int     `json:"bits"`
	Signed bool    `json:"signed"`
	Read   bool    `json:"read"`
	Exact  bool    `json:"exact"`
	Levels int     `json:"levels"`            // largest distance from the original, or from the peer's pixels where lossy
	Ours   float64 `json:"ours_ms,omitempty"` // processor time
	Peer   float64 `json:"peer_ms,omitempty"` // processor time, start-up taken off
	Reader string  `json:"reader"`
}

// TestMatrix prints a row for each syntax, depth and sign: whether it is read,
// whether it is exact, and with -results how long 512 × 512 pixels take us and
// the peer.
func TestMatrix(t *testing.T) {
	peer.Need(t, "dcmcjpeg", "dcmdjpeg", "dcmcjpls", "dcmdjpls", "opj_compress", "opj_decompress", "ojph_compress", "ojph_expand")
	var rows []row
	for _, r := range roads {
		for _, bits := range r.depths {
			for _, signed := range []bool{false, true} {
				if signed && !r.signed {
					continue
				}
				one := r.measure(t, bits, signed)
				rows = append(rows, one)
				limit := 0
				if r.lossy {
					limit = 1
					if strings.HasPrefix(r.syntax, "JPEG 2000") && bits == 16 {
						limit = 4 // see TestLossyAgainstOpenJPEG
					}
				}
				if !one.Read || one.Levels > limit {
					t.Errorf("%+v: at most %d levels wanted", one, limit)
				}
			}
		}
	}
	t.Log("\n" + table(rows))
	if *results != "" {
		data, err := json.MarshalIndent(rows, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		peer.Write(t, filepath.Join(*results, "codecs.json"), append(data, '\n'))
		text := "# Codecs beside their peers\n\n" + time.Now().UTC().Format(time.DateOnly) + ", " + runtime.GOARCH + ". Milliseconds of processor time for 512 × 512 pixels (a head with some noise), start-up of the peer taken off.\n\n" + table(rows)
		peer.Write(t, filepath.Join(*results, "codecs.md"), []byte(text))
	}
}

func (r road) measure(t *testing.T, bits int, signed bool) row {
	side := 64
	if *results != "" {
		side = 1024
	}
	p := peer.Make(peer.Head, side, side, bits, signed)
	path := r.encode(t, p)
	coded, err := os.ReadFile(path)
	if err == nil && r.inDICOM {
		coded, err = peer.Pixels(path)
	}
	if err != nil {
		t.Fatal(err)
	}
	one := row{Syntax: r.syntax, Bits: bits, Signed: signed, Reader: r.reader}
	f := p.Frame()
	got := make([]byte, f.Bytes())
	ours, theirs := time.Hour, time.Hour
	rounds := 1
	if *results != "" {
		rounds = 5
	}
	want := p.Samples
	for range rounds { // the least is what the machine's other work leaves
		begin := processorTime(t)
		if err := r.decode(got, coded, f); err != nil {
			t.Errorf("%s, %s: %v", r.syntax, p.Name(), err)
			return one
		}
		ours = min(ours, processorTime(t)-begin)
		values, spent := r.back(t, path, p)
		theirs = min(theirs, spent)
		if r.lossy {
			want = values
		}
	}
	one.Read = true
	one.Levels, _ = peer.Farthest(peer.Values(got, f), want)
	one.Exact = one.Levels == 0
	if *results != "" {
		tiny := peer.Make(peer.Head, 64, 64, bits, signed)
		tinyPath := r.encode(t, tiny)
		startUp := time.Hour
		for range rounds {
			_, spent := r.back(t, tinyPath, tiny)
			startUp = min(startUp, spent)
		}
		const frames = 4 // of 512 × 512 pixels
		one.Ours = float64(ours.Microseconds()) / 1000 / frames
		one.Peer = float64((theirs - startUp).Microseconds()) / 1000 / frames
	}
	return one
}

// processorTime is what this process has used up so far: on a busy machine the
// clock on the wall would measure the others.
func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func table(rows []row) string {
	var b strings.Builder
	b.WriteString("| syntax | bits | signed | read | exact | levels | ours, ms | peer, ms | ratio | peer |\n|---|---:|---|---|---|---:|---:|---:|---:|---|\n")
	for _, r := range rows {
		times := " | | |"
		if r.Peer > 0 {
			times = fmt.Sprintf("%.1f | %.1f | %.2f |", r.Ours, r.Peer, r.Ours/r.Peer)
		}
		fmt.Fprintf(&b, "| %s | %d | %v | %v | %v | %d | %s %s |\n", r.Syntax, r.Bits, r.Signed, r.Read, r.Exact, r.Levels, times, r.Reader)
	}
	return b.String()
}

func dcmtk(program string, options ...string) func(*testing.T, peer.Picture) string {
	return func(t *testing.T, p peer.Picture) string {
		_, path := p.Convert(t, program, options...)
		return path
	}
}

func dcmtkBack(program string) func(*testing.T, string, peer.Picture) ([]int32, time.Duration) {
	return func(t *testing.T, path string, p peer.Picture) ([]int32, time.Duration) {
		out := path + ".native.dcm"
		spent := peer.Run(t, program, path, out)
		return peer.Values(peer.MustPixels(t, out), p.Frame()), spent
	}
}

func openJPEG(options ...string) func(*testing.T, peer.Picture) string {
	return func(t *testing.T, p peer.Picture) string {
		return peer.OpenJPEG(t, p, options...)
	}
}

func openJPEGBack(t *testing.T, path string, p peer.Picture) ([]int32, time.Duration) {
	out := path + ".rawl"
	spent := peer.Run(t, "opj_decompress", "-i", path, "-o", out)
	native, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return peer.Values(native, p.Frame()), spent
}

func openJPH(options ...string) func(*testing.T, peer.Picture) string {
	return func(t *testing.T, p peer.Picture) string { return peer.OpenJPH(t, p, options...) }
}

func openJPHBack(t *testing.T, path string, p peer.Picture) ([]int32, time.Duration) {
	out := path + ".pgm"
	spent := peer.Run(t, "ojph_expand", "-i", path, "-o", out)
	return peer.PGM(t, out, p), spent
}
