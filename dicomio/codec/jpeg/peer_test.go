package jpeg_test

import (
	"fmt"
	"testing"

	"neurotriage/dicomio/codec/internal/peer"
	"neurotriage/dicomio/codec/jpeg"
)

var sizes = [][2]int{{1, 1}, {1, 17}, {17, 1}, {7, 9}, {64, 64}, {129, 255}}

// TestLosslessAgainstDcmtk: every predictor, depth, sign, size and kind of
// picture, coded by dcmcjpeg, comes out as it went in.
func TestLosslessAgainstDcmtk(t *testing.T) {
	peer.Need(t, "dcmcjpeg")
	for predictor := 1; predictor <= 7; predictor++ {
		for _, bits := range []int{8, 10, 12, 16} {
			for _, signed := range []bool{false, true} {
				for i, size := range sizes {
					if (i+predictor+bits/2)%3 != 0 { // two of the sizes; all have their turn
						continue
					}
					kind := []peer.Kind{peer.Head, peer.Noise, peer.Flat}[(i+predictor)%3]
					p := peer.Make(kind, size[0], size[1], bits, signed)
					t.Run(fmt.Sprintf("predictor_%d/%s_%s", predictor, p.Name(), kind), func(t *testing.T) {
						t.Parallel()
						coded, _ := p.Convert(t, "dcmcjpeg", "+el", "+sv", fmt.Sprint(predictor))
						wantExact(t, p, coded)
					})
				}
			}
		}
	}
}

// TestLosslessSV1AgainstDcmtk is the transfer syntax that archives use most, up
// to a large picture.
func TestLosslessSV1AgainstDcmtk(t *testing.T) {
	peer.Need(t, "dcmcjpeg")
	for _, p := range []peer.Picture{
		peer.Make(peer.Head, 1024, 1024, 12, false),
		peer.Make(peer.Noise, 1023, 1021, 16, true),
		peer.Make(peer.Noise, 300, 301, 16, false),
		peer.Make(peer.Head, 511, 513, 8, false),
	} {
		t.Run(p.Name(), func(t *testing.T) {
			t.Parallel()
			coded, _ := p.Convert(t, "dcmcjpeg", "+e1")
			wantExact(t, p, coded)
		})
	}
}

// TestLosslessAgainstGdcm: the other coder in wide use.
func TestLosslessAgainstGdcm(t *testing.T) {
	peer.Need(t, "gdcmconv")
	for _, bits := range []int{8, 10, 12, 16} {
		for _, signed := range []bool{false, true} {
			p := peer.Make(peer.Head, 65, 130, bits, signed)
			t.Run(p.Name(), func(t *testing.T) {
				t.Parallel()
				coded, _ := p.Convert(t, "gdcmconv", "--jpeg")
				wantExact(t, p, coded)
			})
		}
	}
}

// TestLossyAgainstDcmtk: baseline and extended pictures stay within one grey
// level of dcmtk's own decoder.
func TestLossyAgainstDcmtk(t *testing.T) {
	peer.Need(t, "dcmcjpeg", "dcmdjpeg")
	for _, c := range []struct {
		process string
		bits    int
	}{{"+eb", 8}, {"+ee", 8}, {"+ee", 12}, {"+ee", 10}} {
		for _, quality := range []int{5, 60, 100} {
			for _, size := range sizes {
				for _, kind := range []peer.Kind{peer.Head, peer.Noise} {
					if kind == peer.Head && quality == 60 {
						continue // nothing that the other qualities do not show
					}
					p := peer.Make(kind, size[0], size[1], c.bits, false)
					t.Run(fmt.Sprintf("%s_q%d/%s_%s", c.process, quality, p.Name(), kind), func(t *testing.T) {
						t.Parallel()
						coded, path := p.Convert(t, "dcmcjpeg", c.process, "+q", fmt.Sprint(quality))
						f := p.Frame()
						got := make([]byte, f.Bytes())
						if err := jpeg.Decode(got, coded, f); err != nil {
							t.Fatal(err)
						}
						native := peer.Back(t, path, "dcmdjpeg")
						ours := peer.Values(got, f)
						// dcmtk lets samples overshoot into the bits above BitsStored.
						wide := f
						wide.BitsStored = f.BitsAllocated
						theirs := peer.Values(native, wide)
						for i, value := range theirs {
							theirs[i] = min(value, 1<<c.bits-1)
						}
						if distance, at := peer.Farthest(ours, theirs); distance > 1 {
							t.Errorf("%d grey levels from dcmtk at sample %d: %d, theirs %d", distance, at, ours[at], theirs[at])
						}
					})
				}
			}
		}
	}
}

func wantExact(t *testing.T, p peer.Picture, coded []byte) {
	t.Helper()
	f := p.Frame()
	got := make([]byte, f.Bytes())
	if err := jpeg.Decode(got, coded, f); err != nil {
		t.Fatal(err)
	}
	values := peer.Values(got, f)
	if distance, at := peer.Farthest(values, p.Samples); distance != 0 {
		t.Errorf("sample %d is %d, want %d", at, values[at], p.Samples[at])
	}
}
