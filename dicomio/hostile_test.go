package dicomio_test

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"neurotriage"
	"neurotriage/dicomio"
	"neurotriage/internal/kit"
)

// What one hostile file of at most 20 MB may cost.
const (
	hostileTime  = 2 * time.Second // of processor time, so that a busy machine does not matter
	hostileBytes = 512 << 20       // allocated in all, and resident at most
	hostileData  = 1 << 30         // what the process may map for data at all
)

// childVariable makes the test binary the process that reads hostile files.
const childVariable = "NEUROTRIAGE_HOSTILE_CHILD"

// No file kills a process of 1 GiB, keeps it from answering, or makes it
// allocate half of that. It runs in a child, so that a crash that no recover
// stops is a failure with a name and not the end of the test.
func TestHostileFiles(t *testing.T) {
	if os.Getenv(childVariable) != "" {
		readHostile(t)
		return
	}
	if underRace {
		t.Skip("the race detector maps memory and takes time of its own")
	}
	var out bytes.Buffer
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestHostileFiles$", "-test.count=1")
	child.Env = append(os.Environ(), childVariable+"=1")
	child.Stdout, child.Stderr = &out, &out
	if err := child.Run(); err != nil {
		t.Fatalf("the child ended with %v:\n%s", err, tail(out.String(), 4000))
	}
	usage, ok := child.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		t.Skip("this system does not tell what a child has used")
	}
	peak := usage.Maxrss << 10 // Linux counts in KiB
	t.Logf("peak resident %d MB; %s", peak>>20, strings.TrimSpace(tail(out.String(), 200)))
	if peak > hostileBytes {
		t.Errorf("the child held %d MB", peak>>20)
	}
}

func tail(text string, n int) string { return text[max(0, len(text)-n):] }

// readHostile is the child: it bounds itself, then reads one file after another.
func readHostile(t *testing.T) {
	if err := syscall.Setrlimit(syscall.RLIMIT_DATA, &syscall.Rlimit{Cur: hostileData, Max: hostileData}); err != nil {
		t.Logf("no limit on data: %v", err)
	}
	n, slowest, largest := 0, time.Duration(0), uint64(0)
	for name, file := range hostile() {
		if len(file) > 20<<20 {
			t.Fatalf("%s has %d bytes", name, len(file))
		}
		fmt.Fprintln(os.Stderr, name) // the last one named is the one that kills us
		before, start := allocated(), processorTime()
		errs := []error{readAlone(file)}
		if !strings.HasPrefix(name, "jpeg") { // for a codec one way to the frame is as good as the other
			errs = append(errs, readAsStudy(t.Context(), file))
		}
		for _, err := range errs {
			var refusal *neurotriage.Refusal
			if err != nil && !errors.As(err, &refusal) {
				t.Errorf("%s: no refusal: %v", name, err)
			}
		}
		spent, grown := processorTime()-start, allocated()-before
		if spent > hostileTime || grown > hostileBytes {
			t.Errorf("%s: %v, %d MB allocated", name, spent, grown>>20)
		}
		n, slowest, largest = n+1, max(slowest, spent), max(largest, grown)
	}
	fmt.Fprintf(os.Stdout, "%d files, the slowest took %v, the largest allocated %d MB\n", n, slowest, largest>>20)
}

// processorTime is what this process has used.
func processorTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func readAlone(file []byte) error {
	_, err := dicomio.ReadSlice(bytes.NewReader(file), dicomio.Limits{})
	return err
}

// readAsStudy opens what may be a file or an archive, and reads every slice.
func readAsStudy(ctx context.Context, file []byte) error {
	var source dicomio.Source = memorySource(file)
	if bytes.HasPrefix(file, []byte("PK")) {
		source = dicomio.Zip(bytes.NewReader(file), int64(len(file)))
	}
	studies, _, err := dicomio.Scan(ctx, source, dicomio.Options{Parallel: 2})
	for _, study := range studies {
		for _, failed := range study.Slices(ctx) {
			var refusal *neurotriage.Refusal
			if failed != nil && !errors.As(failed, &refusal) {
				err = errors.Join(err, failed)
			}
		}
		err = errors.Join(err, study.Close())
	}
	return err
}

// hostile makes files that have killed, stopped or swollen other readers. One
// after another, so that making them costs no memory that counts.
func hostile() iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		for n, part := range []iter.Seq2[string, []byte]{structures(), bombs(), compressionBombs(), hordes(), absurdities(), damages()} {
			for name, file := range part {
				if n < 4 {
					runtime.GC() // what was made for the file before is not the reader's
				}
				if !yield(name, file) {
					return
				}
			}
		}
	}
}

// structures lie about what they hold.
func structures() iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		enhanced, _ := encapsulatedFrames()
		group := func(raw []byte) []byte {
			return joined(longHead(0x52009230, "SQ", 0xFFFFFFFF), raw, mark(0xFFFEE0DD, 0))
		}
		_ = yield("500,000 nested sequences", spliced(kit.ExplicitLittle, nested(500_000))) &&
			yield("nested sequences that are handed on", spliced(kit.ExplicitLittle, nestedInReportedSequence(500_000))) &&
			yield("a value of 4 GB", spliced(kit.ExplicitLittle, longHead(0x00420011, "OB", 0xFFFFFFF0))) &&
			yield("pixel data of 4 GB", spliced(kit.ExplicitLittle, longHead(pixelData, "OW", 0xFFFFFFF0))) &&
			yield("an offset table of 4 GB", spliced(kit.ExplicitLittle, longHead(0x7FE00001, "OV", 0xFFFFFFF0))) &&
			yield("a million empty items", spliced(kit.ExplicitLittle, joined(longHead(0x00180012, "SQ", 0xFFFFFFFF),
				bytes.Repeat(mark(0xFFFEE000, 0), 1_000_000), mark(0xFFFEE0DD, 0)))) &&
			yield("a million frames without groups", kit.EncodeFile(kit.RLE, enhanced.With(is(0x00280008, "1000000")))) &&
			yield("groups for a million frames", spliced(kit.ExplicitLittle, group(bytes.Repeat(mark(0xFFFEE000, 0), 1_000_000)))) &&
			yield("twenty thousand frames of one pixel", tinyFrames(20_000)) &&
			yield("two million fragments", spliced(kit.ExplicitLittle, joined(longHead(pixelData, "OB", 0xFFFFFFFF), mark(0xFFFEE000, 0),
				bytes.Repeat(mark(0xFFFEE000, 0), 2_000_000), mark(0xFFFEE0DD, 0)))) &&
			yield("a million empty elements", spliced(kit.ExplicitLittle, joined(longHead(0x00180012, "SQ", 0xFFFFFFFF), mark(0xFFFEE000, 0xFFFFFFFF),
				bytes.Repeat([]byte("\x18\x00\x10\x10LO\x00\x00"), 1_000_000), mark(0xFFFEE00D, 0), mark(0xFFFEE0DD, 0)))) &&
			yield("a long list of values", replaced(kit.Element{Tag: 0x00080008, VR: "CS", Value: strings.Repeat(`A\`, 30_000)})) &&
			yield("words without end", replaced(kit.Element{Tag: 0x0008103E, VR: "LO", Value: strings.Repeat("t1 post c+ aA", 4_000)}))
	}
}

// tinyFrames is an enhanced image that is all headers.
func tinyFrames(n int) []byte {
	images := make([]kit.Image, n)
	for i := range images {
		images[i] = kit.Image{Rows: 1, Columns: 1, Bits: 8, Stored: []int{i & 255}}
	}
	return kit.Study{Series: []kit.Series{{Enhanced: true, Images: images}}}.Files()[0].Data
}

// absurdities are well-formed and make no sense.
func absurdities() iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		us := func(tag uint32, v uint16) kit.Element { return kit.Element{Tag: tag, VR: "US", Value: []uint16{v}} }
		for name, elements := range map[string][]kit.Element{
			"no rows":               {us(0x00280010, 0)},
			"65535 squared":         {us(0x00280010, 65535), us(0x00280011, 65535)},
			"NaN in rescale":        {ds(0x00281053, "NaN"), ds(0x00281052, "-Inf")},
			"a slope that explodes": {ds(0x00281053, "1e308"), ds(0x00281052, "1e308")},
			"window of width 0":     {ds(0x00281050, "0"), ds(0x00281051, "0")},
			"axes that are one":     {ds(imageOrientation, `1\0\0\1\0\0`)},
			"axes of no length":     {ds(imageOrientation, `0\0\0\0\0\0`)},
			"axes that are NaN":     {ds(imageOrientation, `NaN\0\0\0\NaN\0`), ds(imagePosition, `Inf\NaN\0`)},
			"a place far away":      {ds(imagePosition, `1e300\-1e300\1e300`)},
			"spacing of nothing":    {ds(0x00280030, `0\-1`)},
			"bits beyond bits":      {us(0x00280101, 65535), us(0x00280102, 65535)},
			"numbers that overflow": {is(instanceNumber, "99999999999999999999"), is(0x00200011, "-9223372036854775808")},
			"samples without end":   {us(0x00280002, 65535)},
		} {
			if !yield(name, replaced(elements...)) {
				return
			}
		}
		dicom := sound().Data
		_ = yield("a DICOM file that is an archive", append(bytes.Clone(dicom), kit.ZipFiles([]kit.File{{Name: "a", Data: dicom}})...)) &&
			yield("a DICOM file that is a program", append([]byte("\x7fELF"), dicom[4:]...)) &&
			yield("a DICOM file that is TIFF", append([]byte("II*\x00\x08\x00\x00\x00"), dicom[8:]...)) &&
			yield("an archive in an archive", kit.ZipFiles([]kit.File{{Name: "a.zip", Data: kit.ZipFiles([]kit.File{{Name: "a", Data: dicom}})}}))
	}
}

// bombs are small and become large.
func bombs() iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		f := sound()
		huge := func(syntax string, frame []byte) []byte {
			side := kit.Element{Tag: 0x00280010, VR: "US", Value: []uint16{4096}}
			return kit.EncodeFile(syntax, f.With(side, kit.Element{Tag: 0x00280011, VR: "US", Value: []uint16{4096}},
				kit.Element{Tag: pixelData, VR: "OB", Value: kit.Fragments{frame}}))
		}
		rle := make([]byte, 64)
		rle[0], rle[4], rle[8] = 2, 64, 64
		rle = append(rle, bytes.Repeat([]byte{0x81, 0}, 1<<18)...)
		codestream := append([]byte{0xFF, 0x4F, 0xFF, 0x51, 0, 41, 0, 0}, bytes.Repeat([]byte{0x7F, 0xFF, 0xFF, 0xFF}, 9)...)
		codestream = append(codestream, 0, 1, 15, 1, 1)
		jpeg := []byte{0xFF, 0xD8, 0xFF, 0xC3, 0, 11, 16, 0xFF, 0xFF, 0xFF, 0xFF, 1, 1, 0x11, 0, 0xFF, 0xDA, 0, 8, 1, 1, 0, 1, 0, 0}
		_ = yield("deflated zeros", deflatedZeros(1000)) &&
			yield("an archive of zeros", zeros(1000, 12)) &&
			yield("rle of zeros", huge(kit.RLE, rle)) &&
			yield("rle whose segments are one", huge(kit.RLE, slices.Concat(rle[:64], bytes.Repeat([]byte{0x80}, 18<<20)))) &&
			yield("a size segment of terabytes", huge("1.2.840.10008.1.2.4.90", codestream)) &&
			yield("a jpeg of 65535 squared", huge("1.2.840.10008.1.2.4.70", jpeg)) &&
			yield("a jpeg-ls without a scan", huge("1.2.840.10008.1.2.4.80", []byte{0xFF, 0xD8, 0xFF, 0xF7, 0, 11, 16, 0xFF, 0xFF, 0xFF, 0xFF, 1, 1, 0x11, 0}))
	}
}

// deflatedZeros is a deflated data set that inflates to some megabytes of a
// private value, written block by block.
func deflatedZeros(megabytes int) []byte {
	f := sound()
	var headers []kit.Element
	for _, e := range f.Elements {
		if e.Tag != pixelData {
			headers = append(headers, e)
		}
	}
	plain := kit.EncodeFile(kit.ExplicitLittle, headers)
	data := kit.EncodeDataSet(kit.ExplicitLittle, headers)
	meta := kit.EncodeFile(kit.Deflated, headers)
	out := bytes.NewBuffer(bytes.Clone(meta[:len(plain)-len(data)+2])) // this UID is two bytes longer
	deflate, err := flate.NewWriter(out, flate.BestSpeed)
	if err != nil {
		panic(err) // the level is a constant
	}
	block := make([]byte, 1<<20)
	_, _ = deflate.Write(joined(data, longHead(0x00420011, "OB", uint32(megabytes)<<20)))
	for range megabytes {
		_, _ = deflate.Write(block)
	}
	_ = deflate.Close()
	return out.Bytes()
}

// zeros is an archive of files that begin like DICOM and go on without end.
func zeros(megabytes, n int) []byte {
	var out bytes.Buffer
	archive := zip.NewWriter(&out)
	head, block := sound().Data[:1000], make([]byte, 1<<20)
	for i := range n {
		entry, err := archive.Create(fmt.Sprint(i))
		if err != nil {
			panic(err) // a bytes.Buffer takes everything
		}
		_, _ = entry.Write(head)
		for range megabytes / n {
			_, _ = entry.Write(block)
		}
	}
	_ = archive.Close()
	return out.Bytes()
}

// damages are sound files that are cut, or have one byte or bit flipped.
func damages() iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		enhanced, _ := encapsulatedFrames()
		series := kit.Series{Images: kit.Heads(1, 16, 12), Syntax: kit.Deflated}
		deflated := kit.Study{Series: []kit.Series{series}}.Files()[0].Data
		series.Syntax = kit.ImplicitLittle
		implicit := kit.Study{Series: []kit.Series{series}}.Files()
		for name, file := range map[string][]byte{
			"native": sound().Data, "enhanced RLE": enhanced.Data, "deflated": deflated, "implicit": implicit[0].Data, "archive": kit.ZipFiles(implicit),
		} {
			for n := 0; n < len(file); n += 64 {
				if !yield(fmt.Sprintf("%s, cut at byte %d", name, n), file[:n]) {
					return
				}
			}
		}
		small := kit.Series{Syntax: kit.RLE, Images: kit.Heads(1, 4, 4)}
		frames := kit.Series{Enhanced: true, Parts: 2, Images: kit.Heads(4, 2, 2)}
		frames.Images[0].Extra = []kit.Element{kit.Macro(0x2005140F, philips{ss: 2}.private(0x10)...)}
		for name, file := range map[string][]byte{
			"RLE": kit.Study{Series: []kit.Series{small}}.Files()[0].Data, "a part of an image": kit.Study{Series: []kit.Series{frames}}.Files()[0].Data,
			"archive": kit.ZipFiles(implicit),
		} {
			for n := range file {
				for _, flip := range []byte{0xFF, 1 << (n % 8)} {
					flipped := bytes.Clone(file)
					flipped[n] ^= flip
					if !yield(fmt.Sprintf("%s, byte %d flipped by %02x", name, n, flip), flipped) {
						return
					}
				}
			}
		}
	}
}

// memorySource is one file.
type memorySource []byte

func (m memorySource) Close() error { return nil }

func (m memorySource) List(context.Context) iter.Seq2[dicomio.File, error] {
	return func(yield func(dicomio.File, error) bool) {
		yield(dicomio.File{Name: "hostile", Size: int64(len(m)), Open: func() (io.ReadCloser, error) { return memoryReader{bytes.NewReader(m)}, nil }}, nil)
	}
}

type memoryReader struct{ *bytes.Reader }

func (memoryReader) Close() error { return nil }
