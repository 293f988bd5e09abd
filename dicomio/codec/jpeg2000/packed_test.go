package jpeg2000_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"strings"
	"testing"

	"neurotriage/dicomio/codec/internal/peer"
)

// part is a tile-part taken to pieces.
type part struct {
	sot     []byte // the segment's body
	header  []byte // what follows it
	packets []byte // of the data: SOP markers and bodies
	headers []byte // packet headers with their EPH markers
}

// takeApart cuts a codestream that has SOP and EPH markers into its main header
// and its tile-parts. No program at hand writes packed packet headers, so the
// tests make them of what OpenJPEG wrote.
func takeApart(t testing.TB, coded []byte) (main []byte, parts []part) {
	t.Helper()
	first := bytes.Index(coded, []byte{0xFF, 0x90, 0, 10})
	main, coded = coded[:first], coded[first:]
	for len(coded) > 12 && coded[1] == 0x90 {
		length := int(binary.BigEndian.Uint32(coded[6:]))
		p := part{sot: coded[4:12]}
		body := coded[12:length]
		data := bytes.Index(body, []byte{0xFF, 0x93}) + 2
		p.header = body[:data-2]
		for _, packet := range bytes.Split(body[data:], []byte{0xFF, 0x91, 0, 4})[1:] {
			end := bytes.Index(packet, []byte{0xFF, 0x92})
			if end < 0 {
				t.Fatal("a packet without an EPH marker")
			}
			p.packets = append(append(append(p.packets, 0xFF, 0x91, 0, 4), packet[:2]...), packet[end+2:]...)
			p.headers = append(p.headers, packet[2:end+2]...)
		}
		parts = append(parts, p)
		coded = coded[length:]
	}
	return main, parts
}

// written puts a tile-part together again.
func (p part) written(extra []byte) []byte {
	out := append([]byte{0xFF, 0x90, 0, 10}, p.sot...)
	out = append(append(append(out, p.header...), extra...), 0xFF, 0x93)
	out = append(out, p.packets...)
	binary.BigEndian.PutUint32(out[6:], uint32(len(out)))
	return out
}

// segments cuts data into marker segments of at most the given size, numbered.
func segments(marker uint16, data []byte, size, first int) (all [][]byte) {
	for index := first; index == first || len(data) > 0; index++ {
		n := min(size, len(data))
		s := binary.BigEndian.AppendUint16(nil, marker)
		s = binary.BigEndian.AppendUint16(s, uint16(3+n))
		all = append(all, append(append(s, byte(index)), data[:n]...))
		data = data[n:]
	}
	return all
}

// packed moves the packet headers into the tile-parts' headers or the main one.
func packed(t testing.TB, coded []byte, inMain bool, size int) []byte {
	main, parts := takeApart(t, coded)
	var all []byte
	for _, p := range parts {
		all = append(binary.BigEndian.AppendUint32(all, uint32(len(p.headers))), p.headers...)
	}
	out := bytes.Clone(main)
	if inMain {
		segments := segments(0xFF60, all, size, 0)
		for i := range segments { // they may stand in any order
			out = append(out, segments[len(segments)-1-i]...)
		}
	}
	next := map[byte]int{} // segment of the tile: OpenJPEG counts through its parts
	for _, p := range parts {
		var extra []byte
		if !inMain {
			segments := segments(0xFF61, p.headers, size, next[p.sot[1]])
			next[p.sot[1]] += len(segments)
			extra = bytes.Join(segments, nil)
		}
		out = append(out, p.written(extra)...)
	}
	return append(out, 0xFF, 0xD9)
}

// TestPackedHeaders: packet headers in PPM and PPT, in one segment or many, of
// one tile or several with parts.
func TestPackedHeaders(t *testing.T) {
	peer.Need(t, "opj_compress", "opj_decompress")
	for _, options := range []string{"-n 3", "-n 3 -t 50,60 -c [32,32]", "-r 9,3,1 -n 4 -p RPCL -TP R -t 70,70"} {
		p := peer.Make(peer.Head, 97, 131, 12, false)
		path := peer.OpenJPEG(t, p, append(strings.Fields(options), "-SOP", "-EPH")...)
		coded, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			name   string
			inMain bool
			size   int
		}{{"PPT", false, 60000}, {"PPT in pieces", false, 40}, {"PPM", true, 60000}, {"PPM in pieces", true, 37}} {
			t.Run(options+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				changed := packed(t, coded, c.inMain, c.size)
				wantExact(t, p, decodeBytes(t, p, changed))
				if c.inMain && c.size < 100 && strings.Contains(options, "-TP") {
					return // OpenJPEG 2.5 does not read a length that is cut by a segment's end
				}
				wantExact(t, p, decodedByOpenJPEG(t, p, changed)) // so what we made is what they read
			})
		}
	}
}

// decodedByOpenJPEG lets opj_decompress read a codestream.
func decodedByOpenJPEG(t testing.TB, p peer.Picture, coded []byte) []int32 {
	t.Helper()
	path := t.TempDir() + "/in.j2k"
	peer.Write(t, path, coded)
	out := path + ".rawl"
	peer.Run(t, "opj_decompress", "-i", path, "-o", out)
	native, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return peer.Values(native, p.Frame())
}

// TestProgressionChanges: POC in tile headers, where OpenJPEG writes it.
func TestProgressionChanges(t *testing.T) {
	peer.Need(t, "opj_compress", "opj_decompress")
	for i, c := range []struct{ options, changes string }{
		{"-n 4", "T1=0,0,1,2,1,RLCP/T1=2,0,1,4,1,CPRL"},
		{"-n 4 -c [32,32]", "T1=0,0,1,1,1,LRCP/T1=1,0,1,2,1,RPCL/T1=2,0,1,4,1,PCRL"},
		{"-n 4 -r 8,4,1 -c [32,32]", "T1=0,0,3,2,1,RLCP/T1=2,0,3,4,1,CPRL"},
	} {
		for _, bits := range []int{8, 16} {
			p := peer.Make([]peer.Kind{peer.Head, peer.Noise}[i%2], 131, 97, bits, false)
			t.Run(fmt.Sprintf("%s/%dbit", c.changes, bits), func(t *testing.T) {
				t.Parallel()
				coded, err := os.ReadFile(peer.OpenJPEG(t, p, append(strings.Fields(c.options), "-POC", c.changes)...))
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Contains(coded, []byte{0xFF, 0x5F, 0}) {
					t.Fatal("OpenJPEG wrote no progression change")
				}
				wantExact(t, p, decodeBytes(t, p, coded))
			})
		}
	}
}

// TestLayersInStretches: OpenJPEG loses layers when it writes progression changes
// of them, so the packets of a plain codestream are put into their order here, by
// the letter of T.800 A.6.6, and opj_decompress has to agree.
func TestLayersInStretches(t *testing.T) {
	peer.Need(t, "opj_compress", "opj_decompress")
	const resolutions, layers = 4, 3
	type stretch struct{ first, end, layers, order int }
	p := peer.Make(peer.Head, 97, 131, 12, true)
	coded, err := os.ReadFile(peer.OpenJPEG(t, p, "-n", "4", "-r", "9,3,1", "-SOP", "-EPH"))
	if err != nil {
		t.Fatal(err)
	}
	main, parts := takeApart(t, coded)
	packets := bytes.SplitAfter(parts[0].headers, []byte{0xFF, 0x92})
	bodies := bytes.Split(parts[0].packets, []byte{0xFF, 0x91, 0, 4})[1:]
	for _, stretches := range [][]stretch{
		{{0, 4, 1, 0}, {0, 4, 3, 0}},
		{{0, 2, 3, 1}, {2, 4, 1, 0}, {0, 4, 3, 1}},
		{{0, 1, 2, 0}, {0, 3, 1, 1}, {1, 4, 2, 0}, {0, 33, 65535, 1}},
	} {
		poc := []byte{0xFF, 0x5F, 0, byte(2 + 7*len(stretches))}
		var data []byte
		var seen [layers][resolutions]bool
		count := 0
		write := func(layer, resolution int) {
			if seen[layer][resolution] {
				return
			}
			seen[layer][resolution] = true
			from := layer*resolutions + resolution
			data = append(data, 0xFF, 0x91, 0, 4, byte(count>>8), byte(count))
			data = append(append(data, packets[from]...), bodies[from][2:]...)
			count++
		}
		for _, s := range stretches {
			poc = append(poc, byte(s.first), 0, byte(s.layers>>8), byte(s.layers), byte(s.end), 1, byte(s.order))
			if s.order == 0 {
				for layer := range min(s.layers, layers) {
					for r := s.first; r < min(s.end, resolutions); r++ {
						write(layer, r)
					}
				}
				continue
			}
			for r := s.first; r < min(s.end, resolutions); r++ {
				for layer := range min(s.layers, layers) {
					write(layer, r)
				}
			}
		}
		changed := append(bytes.Clone(main), poc...)
		changed = append(changed, part{sot: parts[0].sot, packets: data}.written(nil)...)
		changed = append(changed, 0xFF, 0xD9)
		t.Run(fmt.Sprint(stretches), func(t *testing.T) {
			wantExact(t, p, decodeBytes(t, p, changed))
			wantExact(t, p, decodedByOpenJPEG(t, p, changed))
		})
	}
}
