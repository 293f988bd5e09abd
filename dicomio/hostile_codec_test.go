package dicomio_test

import (
	"bytes"
	"encoding/binary"
	"iter"
	"math/bits"
	"math/rand/v2"
	"strings"

	"neurotriage/internal/kit"
)

// compressionBombs are small codestreams that ask for much, most of them in frames
// of 4096 × 4096 pixels, the largest that limits allow. Those whose work follows
// the number of pixels, as honest pictures' does, have 1024 × 1024.
func compressionBombs() iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		for name, c := range codestreams() {
			if !yield(name, grey(cmpOr(c.side, hugeSide), c.syntax, c.coded)) {
				return
			}
		}
	}
}

const hugeSide = 4096

// grey is a file with one square frame of 16 bits.
func grey(side int, syntax string, coded []byte) []byte {
	us := func(tag uint32, value uint16) kit.Element {
		return kit.Element{Tag: tag, VR: "US", Value: []uint16{value}}
	}
	return kit.EncodeFile(syntax, sound().With(us(0x00280010, uint16(side)), us(0x00280011, uint16(side)),
		us(0x00280100, 16), us(0x00280101, 16), us(0x00280102, 15), us(0x00280103, 0),
		kit.Element{Tag: pixelData, VR: "OB", Value: kit.Fragments{coded}}))
}

type codestream struct {
	syntax string
	coded  []byte
	side   int // 0 for 4096
}

const (
	jpeg2000 = "1.2.840.10008.1.2.4.90"
	jpegLS   = "1.2.840.10008.1.2.4.80"
	jpegOld  = "1.2.840.10008.1.2.4.70"
)

func codestreams() iter.Seq2[string, codestream] {
	return func(yield func(string, codestream) bool) {
		for name, o := range map[string]waves{
			"passes without data":               {side: 1024, levels: 5, passes: 58, planes: 20},
			"passes without data, nine seven":   {side: 1024, levels: 5, passes: 58, planes: 20, style: "irreversible"},
			"passes over noise":                 {side: 1024, levels: 5, passes: 88, planes: 30, data: 4500},
			"passes over skewed bits":           {side: 1024, levels: 5, passes: 88, planes: 30, data: 600, fill: 0x55},
			"passes over noise, large":          {levels: 5, passes: 58, planes: 20, data: 4000},
			"thirty bit planes, large":          {levels: 5, passes: 88, planes: 30},
			"more passes than planes":           {levels: 5, passes: 88, planes: 20},
			"a codeword a pass":                 {side: 1024, levels: 5, passes: 58, planes: 20, style: "termination"},
			"smallest code-blocks":              {levels: 5, passes: 19, planes: 20, block: 2},
			"smallest code-blocks in layers":    {levels: 5, passes: 1, planes: 20, block: 2, layers: 20},
			"65,535 layers":                     {levels: 5, layers: 65535, empty: 19 << 20},
			"65,535 layers, no levels":          {layers: 65535, empty: 19 << 20},
			"precincts of two":                  {levels: 5, precinct: 1, empty: 19 << 20},
			"precincts of two, by position":     {levels: 5, precinct: 1, order: 3, empty: 19 << 20},
			"precincts of sixteen":              {levels: 5, precinct: 4, empty: 19 << 20},
			"precincts of 64 in 200 layers":     {levels: 5, precinct: 6, layers: 200, empty: 19 << 20},
			"precincts of 64, by position":      {levels: 5, precinct: 6, layers: 40, order: 3, empty: 19 << 20},
			"32 levels":                         {levels: 32, empty: 1 << 10},
			"tiles of seventeen":                {levels: 32, tile: 17, empty: 33},
			"tiles of seventeen in many layers": {levels: 5, tile: 17, layers: 30, empty: 180},
			"tiles with styles of their own":    {levels: 32, tile: 17, empty: 33, own: true},
			"high throughput without data":      {levels: 5, passes: 1, planes: 20, style: "high", data: 2},
			"high throughput over noise":        {levels: 5, passes: 3, planes: 20, style: "high", data: 2000},
			"progression changes without end":   {levels: 5, layers: 65535, changes: 64, empty: 19 << 20},
			"many progression changes":          {levels: 5, layers: 30, precinct: 6, changes: 64, empty: 19 << 20},
			"packed headers without end":        {levels: 5, layers: 3000, packed: 1 << 20},
			"tile-parts without end":            {levels: 5, parts: 1_000_000},
		} {
			if !yield("jpeg 2000: "+name, codestream{jpeg2000, o.codestream(), o.side}) {
				return
			}
		}
		_ = yield("jpeg-ls: one run", codestream{jpegLS, lossless('L', 0, bytes.Repeat([]byte{0xFF, 0x7F}, 1<<16)), 0}) &&
			yield("jpeg-ls: noise", codestream{jpegLS, lossless('L', 0, noise(19<<20, 0x7F)), 0}) &&
			yield("jpeg-ls: an interval a row", codestream{jpegLS, lossless('L', 1, bytes.Repeat([]byte{0xFF, 0xD0}, 1<<16)), 0}) &&
			yield("jpeg: noise", codestream{jpegOld, lossless('J', 0, noise(19<<20, 0xFE)), 0}) &&
			yield("jpeg: an interval a row", codestream{jpegOld, lossless('J', hugeSide, bytes.Repeat([]byte{0xFF, 0xD0}, 1<<16)), 0}) &&
			yield("jpeg: an interval a block", codestream{jpegOld, blocks(1, bytes.Repeat([]byte{0, 0xFF, 0xD0}, 1<<19)), 0}) &&
			yield("jpeg: blocks of noise", codestream{jpegOld, blocks(0, noise(19<<20, 0xFE)), 0}) &&
			yield("jpeg: tables without end", codestream{jpegOld, tables(), 0})
	}
}

// waves describes a JPEG 2000 codestream.
type waves struct {
	side                  int // 0 for 4096
	levels, layers, order int
	passes, planes        int // of each code-block in the first layer, and of each band
	data                  int // bytes of each code-block
	fill                  byte
	block, precinct       int // exponents; 0 for 6 and 15
	tile                  int // side; 0 for the picture's
	empty                 int // bytes of packets without anything, in place of code-blocks
	changes, packed       int
	parts                 int
	own                   bool
	style                 string
}

// codestream writes one grey picture.
func (o waves) codestream() []byte {
	side := cmpOr(o.side, hugeSide)
	tile, layers, block := cmpOr(o.tile, side), cmpOr(o.layers, 1), cmpOr(o.block, 6)
	out := []byte{0xFF, 0x4F, 0xFF, 0x51, 0, 41, 0x40, 0}
	for _, v := range []int{side, side, 0, 0, tile, tile, 0, 0} {
		out = binary.BigEndian.AppendUint32(out, uint32(v))
	}
	out = append(out, 0, 1, 15, 1, 1)
	style, transform, quantised := byte(0), byte(1), false
	switch o.style {
	case "termination":
		style = 4
	case "high":
		style = 0x40
		out = append(out, 0xFF, 0x50, 0, 8, 0, 2, 0, 0, 0, 0)
	case "irreversible":
		transform, quantised = 0, true
	}
	cod := []byte{0, byte(o.order), byte(layers >> 8), byte(layers), 0, byte(o.levels), byte(block - 2), byte(block - 2), style, transform}
	if o.precinct > 0 {
		cod[0] = 1
		cod = append(cod, bytes.Repeat([]byte{byte(o.precinct<<4 | o.precinct)}, o.levels+1)...)
	}
	out = appendSegment(out, 0x52, cod)
	bands := 3*o.levels + 1
	planes := byte(cmpOr(o.planes, 18))
	if quantised {
		out = appendSegment(out, 0x5C, append([]byte{1<<5 | 2}, bytes.Repeat([]byte{planes << 3, 0}, bands)...))
	} else {
		out = appendSegment(out, 0x5C, append([]byte{1 << 5}, bytes.Repeat([]byte{planes << 3}, bands)...))
	}
	if o.changes > 0 {
		out = appendSegment(out, 0x5F, bytes.Repeat([]byte{0, 0, 0xFF, 0xFF, 33, 1, 0}, o.changes))
	}
	for i := 0; i < o.packed; i += 60000 {
		part := make([]byte, 60000)
		if i == 0 {
			binary.BigEndian.PutUint32(part, 1<<20)
		}
		out = appendSegment(out, 0x60, append([]byte{byte(i / 60000)}, part...))
	}
	data := make([]byte, o.empty)
	if o.passes > 0 {
		data = o.packets(block)
	}
	var own []byte
	if o.own {
		own = appendSegment(nil, 0x52, cod)
	}
	across := (side + tile - 1) / tile
	for index := range across * across {
		out = tilePart(out, index, own, data)
	}
	for range o.parts {
		out = tilePart(out, 0, nil, nil)
	}
	return append(out, 0xFF, 0xD9)
}

func cmpOr(value, otherwise int) int {
	if value == 0 {
		return otherwise
	}
	return value
}

func appendSegment(out []byte, marker byte, body []byte) []byte {
	out = append(out, 0xFF, marker)
	out = binary.BigEndian.AppendUint16(out, uint16(2+len(body)))
	return append(out, body...)
}

func tilePart(out []byte, index int, header, data []byte) []byte {
	out = append(out, 0xFF, 0x90, 0, 10, byte(index>>8), byte(index))
	out = binary.BigEndian.AppendUint32(out, uint32(14+len(header)+len(data)))
	out = append(append(out, 0, 0), header...)
	return append(append(out, 0xFF, 0x93), data...)
}

// packets writes a packet for each resolution, in which every code-block has all
// its passes, and empty packets for the other layers.
func (o waves) packets(block int) []byte {
	var out []byte
	body := noise(o.data, 0xFE)
	if o.fill != 0 {
		body = bytes.Repeat([]byte{o.fill}, o.data)
	}
	if o.style == "high" && o.data > 2 {
		body[o.data-1], body[o.data-2] = 0x20, body[o.data-2]&0xF0 // a suffix of 512 bytes
	} else if o.style == "high" {
		body = []byte{0x02, 0}
	}
	for r := range o.levels + 1 {
		n, count := o.levels-r, 3
		if r == 0 {
			count = 1
		} else {
			n++
		}
		w := &headerWriter{}
		w.put(1, 1)
		across := max(1, cmpOr(o.side, hugeSide)>>n>>block)
		for range count {
			seen := map[[3]int]bool{}
			for i := range across * across {
				fresh := 0 // nodes of the tag trees, all of value 0
				for level, x, y := 0, i%across, i/across; ; level, x, y = level+1, x/2, y/2 {
					if !seen[[3]int{level, x, y}] {
						seen[[3]int{level, x, y}] = true
						fresh++
					}
					if across>>level <= 1 {
						break
					}
				}
				w.put(1<<fresh-1, fresh)
				w.put(1<<fresh-1, fresh)
				o.contribution(w)
			}
		}
		out = append(out, w.bytes()...)
		for range count * across * across {
			out = append(out, body...)
			if o.style == "high" && o.passes > 1 {
				out = append(out, body...)
			}
		}
	}
	return append(out, make([]byte, (cmpOr(o.layers, 1)-1)*(o.levels+1))...)
}

// contribution writes the number of passes and their lengths.
func (o waves) contribution(w *headerWriter) {
	switch p := o.passes; {
	case p == 1:
		w.put(0, 1)
	case p == 3:
		w.put(0b1100, 4)
	case p < 37:
		w.put(0b1111<<5|(p-6), 9)
	default:
		w.put(0b1111_11111<<7|(p-37), 16)
	}
	w.put(1<<11-2, 11) // ten bits more than three
	switch o.style {
	case "termination":
		for range o.passes {
			w.put(o.data, 13)
		}
	case "high":
		w.put(o.data, 13)
		if o.passes > 1 {
			w.put(o.data, 14)
		}
	default:
		w.put(o.data, 13+bits.Len(uint(o.passes))-1)
	}
}

// headerWriter writes packet headers; the byte after 0xFF has seven bits.
type headerWriter struct {
	out  []byte
	acc  int
	used int
}

func (w *headerWriter) put(value, count int) {
	for count--; count >= 0; count-- {
		w.acc = w.acc<<1 | value>>count&1
		if w.used++; w.used == 8 {
			w.out = append(w.out, byte(w.acc))
			w.used = 0
			if byte(w.acc) == 0xFF {
				w.used = 1
			}
			w.acc = 0
		}
	}
}

func (w *headerWriter) bytes() []byte {
	if w.used > 0 {
		w.put(0, 8-w.used)
	}
	return w.out
}

// noise is made of bytes up to the largest.
func noise(n int, largest byte) []byte {
	var seed [32]byte
	out := make([]byte, n)
	_, _ = rand.NewChaCha8(seed).Read(out)
	for i := range out {
		out[i] = min(out[i], largest)
	}
	return out
}

// lossless is a JPEG lossless (J) or JPEG-LS (L) codestream of 16 bits.
func lossless(kind byte, interval int, data []byte) []byte {
	out := []byte{0xFF, 0xD8, 0xFF, 0xC3, 0, 11, 16, hugeSide >> 8, 0, hugeSide >> 8, 0, 1, 1, 0x11, 0}
	scan := []byte{1, 1, 0, 7, 0, 0}
	if kind == 'L' {
		out[3], scan[3] = 0xF7, 0
	} else {
		out = appendSegment(out, 0xC4, table(0, 17))
	}
	if interval > 0 {
		out = appendSegment(out, 0xDD, []byte{byte(interval >> 8), byte(interval)})
	}
	return append(append(appendSegment(out, 0xDA, scan), data...), 0xFF, 0xD9)
}

// table is a Huffman table of codes of five bits for the first values.
func table(class byte, values int) []byte {
	out := append([]byte{class << 4, 0, 0, 0, 0, byte(values)}, make([]byte, 11)...)
	for value := range values {
		out = append(out, byte(value))
	}
	return out
}

// blocks is an extended JPEG codestream of 12 bits.
func blocks(interval int, data []byte) []byte {
	out := []byte{0xFF, 0xD8, 0xFF, 0xC1, 0, 11, 12, hugeSide >> 8, 0, hugeSide >> 8, 0, 1, 1, 0x11, 0}
	out = appendSegment(out, 0xDB, append([]byte{0}, bytes.Repeat([]byte{255}, 64)...))
	out = appendSegment(appendSegment(out, 0xC4, table(0, 12)), 0xC4, table(1, 31))
	out = appendSegment(out, 0xDD, []byte{byte(interval >> 8), byte(interval)})
	return append(append(appendSegment(out, 0xDA, []byte{1, 1, 0, 0, 63, 0}), data...), 0xFF, 0xD9)
}

// tables defines a million tables before the scan.
func tables() []byte {
	out := []byte{0xFF, 0xD8}
	many := appendSegment(nil, 0xC4, []byte(strings.Repeat(string(table(0, 1)), 3000)))
	for range 300 {
		out = append(out, many...)
	}
	return append(out, lossless('J', 0, nil)[2:]...)
}
