package jpeg2000

import (
	"encoding/binary"
	"errors"
	"fmt"

	"neurotriage/dicomio/codec"
)

// Markers of T.800 table A.2.
const (
	markerSOC = 0xFF4F
	markerCAP = 0xFF50
	markerSIZ = 0xFF51
	markerCOD = 0xFF52
	markerCOC = 0xFF53
	markerQCD = 0xFF5C
	markerQCC = 0xFF5D
	markerRGN = 0xFF5E
	markerPOC = 0xFF5F
	markerPPM = 0xFF60
	markerPPT = 0xFF61
	markerSOT = 0xFF90
	markerSOP = 0xFF91
	markerEPH = 0xFF92
	markerSOD = 0xFF93
	markerEOC = 0xFFD9
)

// maxLevels is the largest number of decomposition levels (T.800 table A.15).
const maxLevels = 32

func be16(b []byte) int { return int(binary.BigEndian.Uint16(b)) }
func be32(b []byte) int { return int(binary.BigEndian.Uint32(b)) }

// size is SIZ (T.800 A.5.1): the reference grid of one component without
// subsampling.
type size struct {
	x0, y0, x1, y1               int // the picture on the grid
	tileX, tileY, tileX0, tileY0 int
	across, down                 int // tiles
	precision                    int
	signed                       bool
}

func (s size) tiles() int { return s.across * s.down }

// style is COD or COC with QCD or QCC and RGN: how a tile is coded.
type style struct {
	sop, eph           bool
	progression        int
	layers             int
	levels             int
	blockX, blockY     int // exponents
	blockStyle         int
	reversible         bool
	precincts          [maxLevels + 1]byte // PPx | PPy << 4 by resolution
	quantisation       int                 // 0 none, 1 derived, 2 expounded
	guard              int
	steps              [3*maxLevels + 1]int // ε << 11 | μ by band
	stepCount          int
	roi                int
	hasCoding, hasStep bool
	// A component's own segment wins over the general one of the same header.
	ownCoding, ownStep bool
}

// Code-block styles (T.800 table A.19, T.814 A.3).
const (
	styleBypass = 1 << iota
	styleReset
	styleTermination
	styleCausal
	stylePredictable
	styleSymbols
	styleHigh
)

// headers reads everything up to the end of the last tile-part.
func (d *decoder) headers() error {
	if len(d.src) < 4 || be16(d.src) != markerSOC || be16(d.src[2:]) != markerSIZ {
		return errors.New("the codestream does not start with the jpeg 2000 markers SOC and SIZ")
	}
	rest := d.src[2:]
	for len(rest) >= 2 {
		marker := be16(rest)
		switch marker {
		case markerEOC:
			return nil
		case markerSOT:
			next, err := d.tilePart(rest)
			if err != nil {
				return err
			}
			rest = next
			continue
		}
		body, next, err := segment(rest)
		if err != nil {
			return err
		}
		if len(d.tiles) > 0 {
			return fmt.Errorf("jpeg 2000 marker 0x%04x stands between tiles", marker)
		}
		if err := d.mainSegment(marker, body); err != nil {
			return err
		}
		rest = next
	}
	return nil // the end marker may be cut off or padded away
}

// segment takes a marker segment from the front of b.
func segment(b []byte) (body, next []byte, err error) {
	if len(b) < 4 || b[0] != 0xFF {
		return nil, nil, errors.New("a jpeg 2000 marker segment is cut off or not there")
	}
	length := be16(b[2:])
	if length < 2 || length > len(b)-2 {
		return nil, nil, fmt.Errorf("jpeg 2000 segment 0x%04x has length %d, %d bytes remain", be16(b), length, len(b)-2)
	}
	return b[4 : 2+length], b[2+length:], nil
}

func (d *decoder) mainSegment(marker int, body []byte) error {
	switch marker {
	case markerSIZ:
		return d.sizeSegment(body)
	case markerCAP: // T.814 A.2: bit 15 of Pcap announces code-blocks of high throughput
		if len(body) < 4 {
			return errors.New("the jpeg 2000 capabilities are cut off")
		}
		d.high = be32(body)>>(32-15)&1 == 1
		return nil
	case markerPPM:
		return d.mainPacked.add(body)
	case markerPOC:
		if d.changes != nil {
			return errors.New("the jpeg 2000 progression changes stand twice")
		}
		var err error
		d.changes, err = changesOf(body)
		return err
	}
	return d.main.apply(marker, body)
}

// sizeSegment reads SIZ and compares it with the file's header.
func (d *decoder) sizeSegment(body []byte) error {
	if len(body) < 39 || d.size.precision != 0 {
		return fmt.Errorf("the jpeg 2000 size segment has %d bytes or stands twice", len(body))
	}
	if components := be16(body[34:]); components != 1 {
		return fmt.Errorf("jpeg 2000 with %d components: %w", components, codec.ErrUnsupported)
	}
	at := func(i int) int { return be32(body[2+4*i:]) }
	s := size{
		x1: at(0), y1: at(1), x0: at(2), y0: at(3),
		tileX: at(4), tileY: at(5), tileX0: at(6), tileY0: at(7),
		precision: int(body[36]&0x7F) + 1, signed: body[36]&0x80 != 0,
	}
	if body[37] != 1 || body[38] != 1 {
		return fmt.Errorf("jpeg 2000 with subsampling %d × %d: %w", body[37], body[38], codec.ErrUnsupported)
	}
	if err := d.frame.Check(d.dst, s.y1-s.y0, s.x1-s.x0, s.precision); err != nil {
		return err
	}
	switch {
	case s.tileX < 1 || s.tileY < 1 || s.x1 > 1<<31-1 || s.y1 > 1<<31-1,
		s.tileX0 > s.x0 || s.tileY0 > s.y0 || s.tileX0+s.tileX <= s.x0 || s.tileY0+s.tileY <= s.y0:
		return errors.New("the jpeg 2000 tiles do not cover the picture")
	}
	s.across, s.down = ceilDiv(s.x1-s.tileX0, s.tileX), ceilDiv(s.y1-s.tileY0, s.tileY)
	if s.across > 65535 || s.down > 65535 || s.tiles() > 65535 {
		return fmt.Errorf("jpeg 2000 with %d × %d tiles", s.across, s.down)
	}
	d.size = s
	return nil
}

// apply reads a segment that main and tile headers may have.
func (s *style) apply(marker int, body []byte) error {
	switch marker {
	case markerCOD:
		if len(body) < 10 {
			return errors.New("the jpeg 2000 coding style is cut off")
		}
		s.sop, s.eph = body[0]&2 != 0, body[0]&4 != 0
		s.progression, s.layers = int(body[1]), be16(body[2:])
		if s.layers < 1 || s.progression > 4 {
			return fmt.Errorf("jpeg 2000 progression %d with %d layers", s.progression, s.layers)
		}
		if s.ownCoding {
			return nil
		}
		return s.coding(body[0], body[5:])
	case markerCOC: // of component 0: there is no other
		if len(body) < 7 || body[0] != 0 {
			return errors.New("the jpeg 2000 component style is cut off or of another component")
		}
		s.ownCoding = true
		return s.coding(body[1], body[2:])
	case markerQCD:
		if s.ownStep {
			return nil
		}
		return s.quantise(body)
	case markerQCC:
		if len(body) < 2 || body[0] != 0 {
			return errors.New("the jpeg 2000 component quantisation is cut off or of another component")
		}
		s.ownStep = true
		return s.quantise(body[1:])
	case markerRGN:
		if len(body) != 3 || body[0] != 0 || body[1] != 0 || body[2] > 31 {
			return errors.New("the jpeg 2000 region of interest is damaged")
		}
		s.roi = int(body[2])
	}
	return nil // comments, lengths and the like say nothing that is needed
}

// coding reads SPcod or SPcoc (T.800 table A.15).
func (s *style) coding(flags byte, body []byte) error {
	if len(body) < 5 {
		return errors.New("the jpeg 2000 coding style is cut off")
	}
	s.levels, s.blockX, s.blockY = int(body[0]), int(body[1]&15)+2, int(body[2]&15)+2
	s.blockStyle = int(body[3])
	s.reversible = body[4] == 1
	if s.levels > maxLevels || s.blockX > 10 || s.blockY > 10 || s.blockX+s.blockY > 12 || body[4] > 1 {
		return fmt.Errorf("jpeg 2000 with %d levels, code-blocks of 2^%d × 2^%d and transform %d", s.levels, s.blockX, s.blockY, body[4])
	}
	if s.blockStyle >= styleHigh<<1 {
		return fmt.Errorf("jpeg 2000 code-block style 0x%02x: %w", s.blockStyle, codec.ErrUnsupported)
	}
	for r := range s.levels + 1 {
		s.precincts[r] = 0xFF
		if flags&1 != 0 {
			if len(body) < 5+s.levels+1 {
				return errors.New("the jpeg 2000 precinct sizes are cut off")
			}
			s.precincts[r] = body[5+r]
			if r > 0 && (body[5+r]&15 == 0 || body[5+r]>>4 == 0) {
				return fmt.Errorf("jpeg 2000 precincts 0x%02x at resolution %d", body[5+r], r)
			}
		}
	}
	s.hasCoding = true
	return nil
}

// quantise reads Sqcd and SPqcd (T.800 A.6.4).
func (s *style) quantise(body []byte) error {
	if len(body) < 2 {
		return errors.New("the jpeg 2000 quantisation is cut off")
	}
	s.quantisation, s.guard = int(body[0]&31), int(body[0]>>5)
	body = body[1:]
	switch s.quantisation {
	case 0:
		s.stepCount = min(len(body), len(s.steps))
		for i := range s.stepCount {
			s.steps[i] = int(body[i]>>3) << 11
		}
	case 1, 2:
		s.stepCount = min(len(body)/2, len(s.steps))
		for i := range s.stepCount {
			s.steps[i] = be16(body[2*i:])
		}
	default:
		return fmt.Errorf("jpeg 2000 quantisation %d", s.quantisation)
	}
	s.hasStep = true
	return nil
}

// check says what a tile's style lacks.
func (s *style) check(high bool) error {
	need := 3*s.levels + 1
	if s.quantisation == 1 {
		need = 1
	}
	switch {
	case !s.hasCoding || !s.hasStep:
		return errors.New("the coding style or the quantisation is missing")
	case s.stepCount < need:
		return fmt.Errorf("%d quantisation steps for %d levels", s.stepCount, s.levels)
	case s.reversible && s.quantisation != 0, !s.reversible && s.quantisation == 0:
		return fmt.Errorf("quantisation %d with this transform: %w", s.quantisation, codec.ErrUnsupported)
	case s.blockStyle&styleHigh != 0 && !high:
		return errors.New("code-blocks of high throughput without their announcement")
	case s.blockStyle&styleHigh != 0 && s.blockStyle&^(styleHigh|styleCausal) != 0:
		return fmt.Errorf("code-block style 0x%02x: %w", s.blockStyle, codec.ErrUnsupported)
	}
	return nil
}

// tilePart reads one tile-part (T.800 A.4.2) from the front of b.
func (d *decoder) tilePart(b []byte) (next []byte, err error) {
	body, rest, err := segment(b)
	if err != nil {
		return nil, err
	}
	if len(body) != 8 || d.size.precision == 0 {
		return nil, errors.New("a jpeg 2000 tile-part header is damaged or stands before the size")
	}
	index, length := be16(body), be32(body[2:])
	if length == 0 { // to the end of the codestream
		length = len(b)
		if length >= 2 && be16(b[length-2:]) == markerEOC {
			length -= 2
		}
	}
	if index >= d.size.tiles() || length < 12 || length > len(b) {
		return nil, fmt.Errorf("a part of jpeg 2000 tile %d of %d has length %d, %d bytes remain", index, d.size.tiles(), length, len(b))
	}
	tile, ok := d.tiles[index]
	if !ok {
		tile = &tileData{}
		d.tiles[index] = tile
	}
	if d.mainPacked != nil {
		if len(d.tiles) == 1 && len(tile.parts) == 0 {
			if d.packed, err = d.mainPacked.joined(); err != nil {
				return nil, err
			}
		}
		headers, left, err := split(d.packed)
		if err != nil {
			return nil, err
		}
		tile.packed, d.packed = append(tile.packed, headers), left
	}
	return b[length:], d.tilePartHeader(tile, index, rest[:length-12])
}

// tilePartHeader reads what stands between the tile-part's beginning and its
// data.
func (d *decoder) tilePartHeader(tile *tileData, index int, rest []byte) error {
	var packed packedHeaders
	for {
		if len(rest) < 2 {
			return fmt.Errorf("a part of jpeg 2000 tile %d has no data", index)
		}
		marker := be16(rest)
		if marker == markerSOD {
			tile.parts = append(tile.parts, rest[2:])
			if packed != nil {
				headers, err := packed.joined()
				tile.packed = append(tile.packed, headers)
				return err
			}
			return nil
		}
		body, after, err := segment(rest)
		if err != nil {
			return err
		}
		switch marker {
		case markerPPT:
			if d.mainPacked != nil {
				return errPackedTwice
			}
			err = packed.add(body)
		case markerCOD, markerCOC, markerQCD, markerQCC, markerRGN, markerPOC:
			err = tile.apply(&d.main, marker, body)
		}
		if err != nil {
			return err
		}
		rest = after
	}
}

// apply reads a segment that says how the tile is coded; its style starts as the
// main header's.
func (t *tileData) apply(main *style, marker int, body []byte) error {
	if marker == markerPOC {
		more, err := changesOf(body)
		if len(t.changes)+len(more) > maxChanges {
			return fmt.Errorf("jpeg 2000 with more than %d progression changes: %w", maxChanges, codec.ErrUnsupported)
		}
		t.changes = append(t.changes, more...)
		return err
	}
	if t.own == nil {
		own := *main
		own.ownCoding, own.ownStep = false, false
		t.own = &own
	}
	return t.own.apply(marker, body)
}

func le64(b []byte) uint64 { return binary.LittleEndian.Uint64(b) }
func be64(b []byte) uint64 { return binary.BigEndian.Uint64(b) }
