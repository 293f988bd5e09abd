package jpeg2000_test

import (
	"fmt"
	"strings"
	"testing"

	"neurotriage/dicomio/codec/internal/peer"
)

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
						wantExact(t, p, decode(t, p, peer.OpenJPH(t, p, "-reversible", "true")))
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
				wantExact(t, p, decode(t, p, peer.OpenJPH(t, p, append(strings.Fields(options), "-reversible", "true")...)))
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
					path := peer.OpenJPH(t, p, "-qstep", step)
					out := path + ".pgm"
					peer.Run(t, "ojph_expand", "-i", path, "-o", out)
					theirs := peer.PGM(t, out, p)
					ours := decode(t, p, path)
					if distance, at := peer.Farthest(ours, theirs); distance > 1 {
						t.Errorf("%d grey levels from OpenJPH at sample %d: %d, theirs %d", distance, at, ours[at], theirs[at])
					}
				})
			}
		}
	}
}
