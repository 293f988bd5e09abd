package codec_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/bits"
	"os"
	"path/filepath"
	"runtime"
	"slices"
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
	frames  []string                                  // program and options that code a file of several frames; none: single frames only
	inDICOM bool
	reader  string // of the peer
	back    func(t *testing.T, path string, p peer.Picture) ([]int32, time.Duration)
}

var every = []int{8, 10, 12, 16}

// roads are the syntaxes. dcmcjpls crashes on near-lossless pictures of a few
// pixels, OpenJPH writes no DICOM files, and gdcmconv's lossy ones are
// OpenJPEG's: what is left out is left out for these reasons.
var roads = []road{
	dcmtkRoad("JPEG baseline .50", []int{8}, false, true, jpeg.Decode, "dcmcjpeg", "+eb", "+q", "90"),
	dcmtkRoad("JPEG extended .51", []int{8, 10, 12}, false, true, jpeg.Decode, "dcmcjpeg", "+ee", "+q", "90"),
	dcmtkRoad("JPEG lossless .57, predictor 4", every, true, false, jpeg.Decode, "dcmcjpeg", "+el", "+sv", "4"),
	dcmtkRoad("JPEG lossless .57, predictor 7", every, true, false, jpeg.Decode, "dcmcjpeg", "+el", "+sv", "7"),
	dcmtkRoad("JPEG lossless .70", every, true, false, jpeg.Decode, "dcmcjpeg", "+e1"),
	dcmtkRoad("JPEG-LS lossless .80", every, true, false, jpegls.Decode, "dcmcjpls", "+el"),
	dcmtkRoad("JPEG-LS near-lossless .81", every, false, true, jpegls.Decode, "dcmcjpls", "+en", "+md", "2"),
	{"JPEG 2000 lossless .90", every, true, false, jpeg2000.Decode, openJPEG(), []string{"gdcmconv", "--j2k"}, false, "opj_decompress", openJPEGBack},
	{"JPEG 2000 .91", every, true, true, jpeg2000.Decode, openJPEG("-I", "-r", "8"), nil, false, "opj_decompress", openJPEGBack},
	{"HTJ2K lossless .201", every, true, false, jpeg2000.Decode, openJPH("-reversible", "true", "-prog_order", "LRCP"), nil, false, "ojph_expand", openJPHBack},
	{"HTJ2K lossless RPCL .202", every, true, false, jpeg2000.Decode, openJPH("-reversible", "true"), nil, false, "ojph_expand", openJPHBack},
	{"HTJ2K .203", every, false, true, jpeg2000.Decode, openJPH("-qstep", "0.002"), nil, false, "ojph_expand", openJPHBack},
}

func dcmtkRoad(syntax string, depths []int, signed, lossy bool, decode func(dst, src []byte, frame codec.Frame) error,
	program string, options ...string) road {
	reader := strings.Replace(program, "dcmc", "dcmd", 1)
	return road{syntax, depths, signed, lossy, decode, dcmtk(program, options...), append([]string{program}, options...), true, reader, dcmtkBack(reader)}
}

// row is one line of the matrix.
type row struct {
	Syntax string  `json:"syntax"`
	Bits   int     `json:"bits"`
	Signed bool    `json:"signed"`
	Sizes  string  `json:"sizes"`
	Frames string  `json:"frames"`
	Read   bool    `json:"read"`
	Exact  bool    `json:"exact"`
	Levels int     `json:"levels"`            // largest distance from the original, or from the peer's pixels where lossy
	Ours   float64 `json:"ours_ms,omitempty"` // processor time
	Peer   float64 `json:"peer_ms,omitempty"` // processor time, start-up taken off
	Reader string  `json:"reader"`
}

// TestMatrix prints a row for each syntax, depth and sign: whether pictures of
// odd and even sizes and files of several frames are read, whether they are
// exact, and how long 512 × 512 pixels take us and the peer: roughly, from one
// small picture, and with -results from large ones in several rounds.
func TestMatrix(t *testing.T) {
	peer.Need(t, "dcmcjpeg", "dcmdjpeg", "dcmcjpls", "dcmdjpls", "gdcmconv", "opj_compress", "opj_decompress", "ojph_compress", "ojph_expand")
	var rows []row
	for _, r := range roads {
		for _, bits := range r.depths {
			for _, signed := range []bool{false, true} {
				if signed && !r.signed {
					continue
				}
				one := r.row(t, bits, signed)
				rows = append(rows, one)
				limit := 0
				if r.lossy {
					limit = 1
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
		text := "# Codecs beside their peers\n\n" + time.Now().UTC().Format(time.DateOnly) + ", " + runtime.GOARCH +
			". Milliseconds of processor time for 512 × 512 pixels (a head with some noise), start-up of the peer taken off.\n" +
			"Levels: the largest distance from the original picture, or from the peer's pixels where the coding is lossy.\n\n" + table(rows)
		peer.Write(t, filepath.Join(*results, "codecs.md"), []byte(text))
	}
}

// row reads pictures of one depth and sign in all sizes.
func (r road) row(t *testing.T, bits int, signed bool) row {
	one := row{Syntax: r.syntax, Bits: bits, Signed: signed, Frames: "1", Reader: r.reader, Read: true}
	sizes := [][2]int{{1, 1}, {33, 47}, {64, 64}}
	if strings.Contains(r.syntax, ".81") {
		sizes[0] = [2]int{7, 9}
	}
	if bits == 12 && !signed && r.lossy == strings.Contains(r.syntax, "LS near") { // one large picture a lossless syntax
		sizes = append(sizes, [2]int{1024, 1024})
	}
	var names []string
	for _, size := range sizes {
		p := peer.Make(peer.Head, size[0], size[1], bits, signed)
		path := r.encode(t, p)
		coded, err := os.ReadFile(path)
		if err == nil && r.inDICOM {
			coded, err = peer.Pixels(path)
		}
		if err != nil {
			t.Fatal(err)
		}
		want := p.Samples
		if r.lossy {
			want, _ = r.back(t, path, p)
		}
		r.compare(t, &one, coded, p, want)
		names = append(names, fmt.Sprintf("%d×%d", size[1], size[0]))
	}
	one.Sizes = strings.Join(names, ", ")
	if r.frames != nil {
		r.several(t, &one)
	}
	one.Exact = one.Read && one.Levels == 0
	if *results != "" {
		r.measure(t, &one, 1024, 5)
	} else {
		r.measure(t, &one, 256, 1)
	}
	return one
}

// compare decodes one frame.
func (r road) compare(t *testing.T, one *row, coded []byte, p peer.Picture, want []int32) {
	f := p.Frame()
	got := make([]byte, f.Bytes())
	if err := r.decode(got, coded, f); err != nil {
		t.Errorf("%s, %s: %v", r.syntax, p.Name(), err)
		one.Read = false
		return
	}
	distance, _ := peer.Farthest(peer.Values(got, f), want)
	one.Levels = max(one.Levels, distance)
}

// several reads a file of three frames, a fragment each.
func (r road) several(t *testing.T, one *row) {
	var pictures []peer.Picture
	for _, kind := range []peer.Kind{peer.Head, peer.Noise, peer.Flat} {
		if kind == peer.Noise && r.reader == "dcmdjpls" && r.lossy {
			kind = peer.Head // it does not read what dcmcjpls makes of this
		}
		pictures = append(pictures, peer.Make(kind, 30, 21, one.Bits, one.Signed))
	}
	path := peer.ConvertFile(t, peer.File(pictures...), r.frames[0], r.frames[1:]...)
	fragments, err := peer.Fragments(path)
	if err != nil || len(fragments) != len(pictures) {
		t.Fatalf("%s: %d fragments of %d frames, %v", r.syntax, len(fragments), len(pictures), err)
	}
	var native []byte
	if r.lossy {
		native = peer.Back(t, path, r.reader)
	}
	for i, p := range pictures {
		want := p.Samples
		if r.lossy {
			size := p.Frame().Bytes()
			want = within(peer.Values(native[i*size:][:size], wide(p.Frame())), p.Bits)
		}
		r.compare(t, one, fragments[i], p, want)
	}
	one.Frames = "1, 3"
}

// wide is the frame with every bit stored: dcmtk lets lossy samples overshoot into
// the bits above.
func wideIf(unsigned bool, f codec.Frame) codec.Frame {
	if unsigned {
		return wide(f)
	}
	return f
}

func wide(f codec.Frame) codec.Frame {
	f.BitsStored = f.BitsAllocated
	return f
}

func within(values []int32, bits int) []int32 {
	for i, value := range values {
		values[i] = min(value, 1<<bits-1)
	}
	return values
}

// measure takes times on a square picture, the least of the rounds: that is what
// the machine's other work leaves.
func (r road) measure(t *testing.T, one *row, side, rounds int) {
	p := peer.Make(peer.Head, side, side, one.Bits, one.Signed)
	tiny := peer.Make(peer.Head, 64, 64, one.Bits, one.Signed)
	path, tinyPath := r.encode(t, p), r.encode(t, tiny)
	coded, err := os.ReadFile(path)
	if err == nil && r.inDICOM {
		coded, err = peer.Pixels(path)
	}
	if err != nil {
		t.Fatal(err)
	}
	f := p.Frame()
	got := make([]byte, f.Bytes())
	ours, theirs, startUp := time.Hour, time.Hour, time.Hour
	for range rounds {
		begin := processorTime(t)
		if err := r.decode(got, coded, f); err != nil {
			t.Fatal(err)
		}
		ours = min(ours, processorTime(t)-begin)
		_, spent := r.back(t, path, p)
		_, small := r.back(t, tinyPath, tiny)
		theirs, startUp = min(theirs, spent), min(startUp, small)
	}
	frames := float64(side*side) / (512 * 512)
	one.Ours = float64(ours.Microseconds()) / 1000 / frames
	one.Peer = max(0, float64((theirs-startUp).Microseconds())/1000/frames)
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
	b.WriteString("| syntax | bits | signed | sizes | frames | read | exact | levels | ours, ms | peer, ms | ratio | peer |\n|---|---:|---|---|---|---|---|---:|---:|---:|---:|---|\n")
	for _, r := range rows {
		times := fmt.Sprintf("%.1f | %.1f | |", r.Ours, r.Peer)
		if r.Peer > 0 {
			times = fmt.Sprintf("%.1f | %.1f | %.2f |", r.Ours, r.Peer, r.Ours/r.Peer)
		}
		fmt.Fprintf(&b, "| %s | %d | %v | %s | %s | %v | %v | %d | %s %s |\n", r.Syntax, r.Bits, r.Signed, r.Sizes, r.Frames, r.Read, r.Exact, r.Levels, times, r.Reader)
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
		return within(peer.Values(peer.MustPixels(t, out), wideIf(!p.Signed, p.Frame())), p.Bits), spent
	}
}

func openJPEG(options ...string) func(*testing.T, peer.Picture) string {
	return func(t *testing.T, p peer.Picture) string {
		if side := min(p.Rows, p.Columns); side < 32 { // it refuses more resolutions than a picture has
			return peer.OpenJPEG(t, p, append(slices.Clone(options), "-n", fmt.Sprint(bits.Len(uint(side))))...)
		}
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
