package jpeg2000_test

import (
	"fmt"
	"math/bits"
	"os"
	"strings"
	"testing"

	"neurotriage/dicomio/codec/internal/peer"
	"neurotriage/dicomio/codec/jpeg2000"
)

func decode(t testing.TB, p peer.Picture, path string) []int32 {
	t.Helper()
	coded, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return decodeBytes(t, p, coded)
}

func decodeBytes(t testing.TB, p peer.Picture, coded []byte) []int32 {
	t.Helper()
	f := p.Frame()
	got := make([]byte, f.Bytes())
	if err := jpeg2000.Decode(got, coded, f); err != nil {
		t.Fatal(err)
	}
	return peer.Values(got, f)
}

func wantExact(t testing.TB, p peer.Picture, values []int32) {
	t.Helper()
	if distance, at := peer.Farthest(values, p.Samples); distance != 0 {
		t.Errorf("sample %d is %d, want %d", at, values[at], p.Samples[at])
	}
}

// coding lists the ways in which OpenJPEG can write a codestream.
var coding = []string{
	"",
	"-n 1", "-n 2", "-n 3", "-n 7",
	"-b 4,4", "-b 64,16", "-b 4,256", "-b 1024,4",
	"-t 32,32", "-t 50,17 -n 3", "-t 32,40 -d 7,5", "-t 40,30 -T 3,4 -d 13,11 -n 3", "-d 5,3",
	"-p RLCP -t 64,64", "-p RPCL -c [64,64],[32,32] -n 4", "-p PCRL -c [128,64],[64,32] -n 4", "-p CPRL -c [64,64],[32,32],[16,16] -t 60,60 -d 3,3 -n 3",
	"-r 8,4,2,1", "-r 20,10,1 -p RLCP -c [32,32] -n 3", "-r 9,3,1 -p PCRL -c [32,64] -SOP -EPH -n 3",
	"-SOP", "-EPH", "-SOP -EPH -p RPCL -TP R", "-TP R -PLT -TLM", "-r 4,2,1 -TP L",
	"-M 1", "-M 2", "-M 4", "-M 8", "-M 16", "-M 32", "-M 63", "-M 5", "-M 9 -r 6,3,1", "-M 12 -b 32,32", "-M 41 -t 33,33",
}

// TestReversibleAgainstOpenJPEG: however it is written, the picture comes out as
// it went in.
func TestReversibleAgainstOpenJPEG(t *testing.T) {
	peer.Need(t, "opj_compress")
	for i, options := range coding {
		for _, bits := range []int{8, 12, 16} {
			kind := []peer.Kind{peer.Head, peer.Noise}[(i+bits)%2]
			p := peer.Make(kind, 97, 131, bits, (i+bits/4)%2 == 0)
			t.Run(fmt.Sprintf("%s/%s_%s", options, p.Name(), kind), func(t *testing.T) {
				t.Parallel()
				wantExact(t, p, decode(t, p, peer.OpenJPEG(t, p, strings.Fields(options)...)))
			})
		}
	}
}

func TestSizesAgainstOpenJPEG(t *testing.T) {
	peer.Need(t, "opj_compress")
	for _, size := range [][2]int{{1, 1}, {1, 2}, {2, 1}, {3, 3}, {1, 40}, {40, 1}, {5, 64}, {64, 64}, {63, 65}, {1024, 1024}, {1030, 1031}} {
		for _, depth := range []int{8, 10, 12, 16} {
			for _, signed := range []bool{false, true} {
				if size[0] > 100 && (depth != 12 || signed) {
					continue
				}
				p := peer.Make(peer.Head, size[0], size[1], depth, signed)
				t.Run(p.Name(), func(t *testing.T) {
					t.Parallel()
					wantExact(t, p, decode(t, p, peer.OpenJPEG(t, p, "-n", fmt.Sprint(min(6, bits.Len(uint(min(size[0], size[1]))))))))
				})
			}
		}
	}
}

// TestLossyAgainstOpenJPEG: irreversible, truncated and shifted codings stay
// within one grey level of OpenJPEG's own decoder.
func TestLossyAgainstOpenJPEG(t *testing.T) {
	peer.Need(t, "opj_compress", "opj_decompress")
	for i, options := range []string{
		"-I", "-I -r 4", "-I -r 20", "-I -r 20,10,3", "-I -t 40,33 -d 3,5 -n 3", "-I -n 1", "-I -M 1 -r 3", "-I -q 40",
		"-r 5", "-r 15", "-r 15 -M 1", "-q 35,45", "-I -n 4 -c [64,32]", "-ROI c=0,U=9", "-I -r 6 -ROI c=0,U=7",
	} {
		for _, bits := range []int{8, 12, 16} {
			kind := []peer.Kind{peer.Head, peer.Noise}[(i+bits/4)%2]
			p := peer.Make(kind, 97, 131, bits, false)
			t.Run(fmt.Sprintf("%s/%s_%s", options, p.Name(), kind), func(t *testing.T) {
				t.Parallel()
				path := peer.OpenJPEG(t, p, strings.Fields(options)...)
				out := path + ".rawl"
				peer.Run(t, "opj_decompress", "-i", path, "-o", out)
				native, err := os.ReadFile(out)
				if err != nil {
					t.Fatal(err)
				}
				ours, theirs := decode(t, p, path), peer.Values(native, p.Frame())
				if distance, at := peer.Farthest(ours, theirs); distance > 1 {
					t.Errorf("%d grey levels from OpenJPEG at sample %d: %d, theirs %d", distance, at, ours[at], theirs[at])
				}
			})
		}
	}
}

func TestReversibleAgainstGdcm(t *testing.T) {
	peer.Need(t, "gdcmconv")
	for _, bits := range []int{8, 10, 12, 16} {
		for _, signed := range []bool{false, true} {
			p := peer.Make(peer.Head, 65, 130, bits, signed)
			t.Run(p.Name(), func(t *testing.T) {
				t.Parallel()
				coded, _ := p.Convert(t, "gdcmconv", "--j2k")
				wantExact(t, p, decodeBytes(t, p, coded))
			})
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	peer.Need(b, "opj_compress")
	for _, options := range []string{"", "-I -r 8"} {
		for _, kind := range []peer.Kind{peer.Head, peer.Noise} {
			b.Run(fmt.Sprintf("%s_512x512_12bit%s", kind, strings.ReplaceAll(options, " ", "")), func(b *testing.B) {
				p := peer.Make(kind, 512, 512, 12, false)
				coded, err := os.ReadFile(peer.OpenJPEG(b, p, strings.Fields(options)...))
				if err != nil {
					b.Fatal(err)
				}
				f := p.Frame()
				got := make([]byte, f.Bytes())
				b.SetBytes(int64(len(got)))
				b.ReportAllocs()
				for b.Loop() {
					if err := jpeg2000.Decode(got, coded, f); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
