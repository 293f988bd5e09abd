package jpegls_test

import (
	"fmt"
	"testing"

	"neurotriage/dicomio/codec/internal/peer"
	"neurotriage/dicomio/codec/jpegls"
)

var sizes = [][2]int{{1, 1}, {1, 17}, {17, 1}, {7, 9}, {64, 64}, {129, 255}}

// TestLosslessAgainstDcmtk: every depth, sign, size and kind of picture, coded
// by dcmcjpls with default and other parameters, comes out as it went in.
func TestLosslessAgainstDcmtk(t *testing.T) {
	peer.Need(t, "dcmcjpls")
	for _, options := range [][]string{{"+el"}, {"+el", "+t1", "9", "+t2", "31", "+t3", "93", "+rs", "31"}} {
		for _, bits := range []int{8, 10, 12, 16} {
			for _, signed := range []bool{false, true} {
				for i, size := range sizes {
					for _, kind := range []peer.Kind{peer.Head, peer.Noise, peer.Flat} {
						if i > 3 || kind == peer.Noise {
							p := peer.Make(kind, size[0], size[1], bits, signed)
							t.Run(fmt.Sprintf("%d_options/%s_%s", len(options), p.Name(), kind), func(t *testing.T) {
								t.Parallel()
								coded, _ := p.Convert(t, "dcmcjpls", options...)
								wantWithin(t, 0, p, coded)
							})
						}
					}
				}
			}
		}
	}
}

func TestLargeAgainstDcmtk(t *testing.T) {
	peer.Need(t, "dcmcjpls")
	for _, p := range []peer.Picture{
		peer.Make(peer.Head, 1024, 1024, 12, false),
		peer.Make(peer.Noise, 1023, 1021, 16, true),
	} {
		t.Run(p.Name(), func(t *testing.T) {
			t.Parallel()
			coded, _ := p.Convert(t, "dcmcjpls", "+el")
			wantWithin(t, 0, p, coded)
		})
	}
}

func TestLosslessAgainstGdcm(t *testing.T) {
	peer.Need(t, "gdcmconv")
	for _, bits := range []int{8, 12, 16} {
		for _, signed := range []bool{false, true} {
			p := peer.Make(peer.Head, 65, 130, bits, signed)
			t.Run(p.Name(), func(t *testing.T) {
				t.Parallel()
				coded, _ := p.Convert(t, "gdcmconv", "--jpegls")
				wantWithin(t, 0, p, coded)
			})
		}
	}
}

// TestNearAgainstDcmtk: our pixels are dcmtk's, and both within the deviation.
// Pictures one column wide are left out: dcmcjpls 3.6.7 crashes on some.
func TestNearAgainstDcmtk(t *testing.T) {
	peer.Need(t, "dcmcjpls", "dcmdjpls")
	for _, near := range []int{1, 3, 10} {
		for _, bits := range []int{8, 12, 16} {
			for i, size := range sizes {
				if size[1] == 1 {
					continue
				}
				kind := []peer.Kind{peer.Head, peer.Noise, peer.Flat}[(i+near)%3]
				p := peer.Make(kind, size[0], size[1], bits, false)
				t.Run(fmt.Sprintf("near_%d/%s_%s", near, p.Name(), kind), func(t *testing.T) {
					t.Parallel()
					coded, path := p.Convert(t, "dcmcjpls", "+en", "+md", fmt.Sprint(near))
					got := wantWithin(t, near, p, coded)
					theirs := peer.Values(peer.Back(t, path, "dcmdjpls"), p.Frame())
					if distance, at := peer.Farthest(got, theirs); distance > 0 {
						t.Errorf("sample %d is %d, dcmtk's is %d", at, got[at], theirs[at])
					}
				})
			}
		}
	}
}

func wantWithin(t *testing.T, near int, p peer.Picture, coded []byte) []int32 {
	t.Helper()
	f := p.Frame()
	got := make([]byte, f.Bytes())
	if err := jpegls.Decode(got, coded, f); err != nil {
		t.Fatal(err)
	}
	values := peer.Values(got, f)
	if distance, at := peer.Farthest(values, p.Samples); distance > near {
		t.Errorf("sample %d is %d, want %d within %d", at, values[at], p.Samples[at], near)
	}
	return values
}
