package jpeg2000_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"neurotriage/dicomio/codec/internal/peer"
)

// ojph codes the picture with OpenJPH and gives the file's path. PGM knows no
// signs, and OpenJPH 0.9 reads raw samples as unsigned whatever it is told: a
// signed picture is coded shifted up, and its header then says what the level
// shift did (T.800 G.1), that the samples are signed.
func ojph(t testing.TB, p peer.Picture, options ...string) string {
	t.Helper()
	folder := t.TempDir()
	in, out := filepath.Join(folder, "in.pgm"), filepath.Join(folder, "out.j2c")
	peer.Write(t, in, pgm(p))
	peer.Run(t, "ojph_compress", append([]string{"-i", in, "-o", out}, options...)...)
	if p.Signed {
		coded, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		const ssiz = 42 // SOC, then 40 bytes of SIZ
		coded[ssiz] |= 0x80
		peer.Write(t, out, coded)
	}
	return out
}

func pgm(p peer.Picture) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "P5\n%d %d\n%d\n", p.Columns, p.Rows, 1<<p.Bits-1)
	lowest := int32(0)
	if p.Signed {
		lowest = -1 << (p.Bits - 1)
	}
	for _, s := range p.Samples {
		s -= lowest
		if p.Bits > 8 {
			b.Write(binary.BigEndian.AppendUint16(nil, uint16(s)))
		} else {
			b.WriteByte(byte(s))
		}
	}
	return b.Bytes()
}

// TestHighThroughputAgainstOpenJPH: reversible pictures come out as they went in.
func TestHighThroughputAgainstOpenJPH(t *testing.T) {
	peer.Need(t, "ojph_compress")
	for _, size := range [][2]int{{1, 1}, {1, 17}, {17, 1}, {7, 9}, {64, 64}, {97, 131}, {513, 511}} {
		for _, bits := range []int{8, 10, 12, 16} {
			for _, signed := range []bool{false, true} {
				for _, kind := range []peer.Kind{peer.Head, peer.Noise, peer.Flat} {
					if kind != peer.Head && size[0] != 97 {
						continue
					}
					p := peer.Make(kind, size[0], size[1], bits, signed)
					t.Run(p.Name()+"_"+string(kind), func(t *testing.T) {
						t.Parallel()
						wantExact(t, p, decode(t, p, ojph(t, p, "-reversible", "true")))
					})
				}
			}
		}
	}
}

func TestHighThroughputCodings(t *testing.T) {
	peer.Need(t, "ojph_compress")
	for _, options := range []string{
		"-num_decomps 0", "-num_decomps 1", "-num_decomps 7", "-block_size {4,4}", "-block_size {16,64}", "-block_size {1024,4}", "-block_size {32,32}",
		"-prog_order LRCP", "-prog_order RLCP", "-prog_order PCRL -precincts {32,32},{64,64}", "-prog_order CPRL", "-prog_order RPCL -precincts {64,128},{128,128}",
		"-tile_size {50,40}", "-tile_size {50,40} -image_offset {7,5} -tile_offset {3,2}",
	} {
		for _, bits := range []int{8, 12, 16} {
			p := peer.Make(peer.Head, 97, 131, bits, false)
			t.Run(options+"/"+p.Name(), func(t *testing.T) {
				t.Parallel()
				wantExact(t, p, decode(t, p, ojph(t, p, append(strings.Fields(options), "-reversible", "true")...)))
			})
		}
	}
}

// TestHighThroughputLossy: within one grey level of OpenJPH's own decoder.
func TestHighThroughputLossy(t *testing.T) {
	peer.Need(t, "ojph_compress", "ojph_expand")
	for _, step := range []string{"0.00001", "0.0039", "0.05", "0.4"} {
		for _, bits := range []int{8, 12, 16} {
			for _, kind := range []peer.Kind{peer.Head, peer.Noise} {
				p := peer.Make(kind, 97, 131, bits, false)
				t.Run(fmt.Sprintf("%s/%s_%s", step, p.Name(), kind), func(t *testing.T) {
					t.Parallel()
					path := ojph(t, p, "-qstep", step)
					out := path + ".pgm"
					peer.Run(t, "ojph_expand", "-i", path, "-o", out)
					file, err := os.ReadFile(out)
					if err != nil {
						t.Fatal(err)
					}
					width := (bits + 7) / 8
					body := file[len(file)-width*len(p.Samples):]
					theirs := make([]int32, len(p.Samples))
					for i := range theirs {
						for _, b := range body[i*width:][:width] {
							theirs[i] = theirs[i]<<8 | int32(b)
						}
					}
					ours := decode(t, p, path)
					if distance, at := peer.Farthest(ours, theirs); distance > 1 {
						t.Errorf("%d grey levels from OpenJPH at sample %d: %d, theirs %d", distance, at, ours[at], theirs[at])
					}
				})
			}
		}
	}
}
