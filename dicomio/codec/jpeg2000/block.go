package jpeg2000

// A flag word holds what the coding passes need to know of four samples above
// each other, a column of a stripe, and of their neighbours:
//
//	bits  0–17  significance of six rows (one above, four, one below) times three
//	            columns, bit 3·row + column
//	bits 18–23  sign of the middle column's six rows
//	bits 24–27  refined before, of the four samples
//	bits 28–31  coded in this bit plane's significance pass, of the four samples
const (
	bitSelf        = 4 // of the first sample
	bitSign        = 18
	bitRefined     = 24
	bitVisited     = 28
	around         = 0x1EF // the eight neighbours, once shifted by 3·sample
	anySignificant = 1<<18 - 1
	anySelf        = 1<<bitSelf | 1<<(bitSelf+3) | 1<<(bitSelf+6) | 1<<(bitSelf+9)
	allVisited     = 0xF << bitVisited
)

// Contexts of T.800 table D.7.
const (
	contextSign      = 9
	contextMagnitude = 14
	contextRun       = 17
	contextUniform   = 18
	contextSpace     = 32 // a power of two, so that a masked index needs no check
)

// blockDecoder decodes the bit planes of one code-block (T.800 annex D).
type blockDecoder struct {
	mq
	raw           raw
	flags         []uint32
	stride        int
	values        []int32
	width, height int
	zero          *[512]uint8
	contexts      [contextSpace]uint8
	causal        bool
}

// decodePlanes fills w.values from w.words.
func (w *workspace) decodePlanes(b *block, orientation, planes int, s *style) error {
	d := &blockDecoder{
		width: int(b.width), height: int(b.height), zero: &zeroContexts[orientation],
		causal: s.blockStyle&styleCausal != 0,
	}
	d.stride = d.width + 2
	stripes := (d.height + 3) / 4
	w.flags = grown(w.flags, d.stride*(stripes+2))
	w.values, w.stride = grown(w.values, d.width*d.height), d.width
	d.flags, d.values = w.flags, w.values
	plane := planes - int(b.planes) - 1 // of the first pass
	if int(b.passes) > 3*plane+1 {
		return errManyPasses
	}
	d.resetContexts()
	pass := 0
	kind := 2 // the first pass is a cleanup
	for _, word := range w.words {
		bypass := s.blockStyle&styleBypass != 0 && pass >= 10 && kind != 2
		if bypass {
			d.raw = raw{src: word.data}
		} else {
			d.start(word.data)
		}
		for range word.passes {
			// A word that is shared by raw and coded passes cannot be: codewordOf says so.
			d.pass(kind, plane, bypass, s.blockStyle)
			pass++
			if kind++; kind == 3 {
				kind = 0
				plane--
			}
		}
	}
	return nil
}

func (d *blockDecoder) pass(kind, plane int, bypass bool, style int) {
	switch {
	case kind == 0 && bypass:
		d.significanceRaw(plane)
	case kind == 0:
		d.significance(plane)
	case kind == 1 && bypass:
		d.refinementRaw(plane)
	case kind == 1:
		d.refinement(plane)
	default:
		d.cleanup(plane)
		if style&styleSymbols != 0 { // T.800 D.5: they help to find errors, not to correct them
			for range 4 {
				d.decode(&d.contexts[contextUniform])
			}
		}
	}
	if style&styleReset != 0 {
		d.resetContexts()
	}
}

// resetContexts sets the states of T.800 table D.7.
func (d *blockDecoder) resetContexts() {
	d.contexts = [contextSpace]uint8{0: 4 << 1, contextRun: 3 << 1, contextUniform: 46 << 1}
}

// significance is the first pass of a bit plane (T.800 D.3.1).
func (d *blockDecoder) significance(plane int) {
	a, c := d.a, d.c
	for y := 0; y < d.height; y += 4 {
		rows := min(4, d.height-y)
		at := (y/4+1)*d.stride + 1
		line := d.flags[at:][:d.width]
		for x := range line {
			if line[x]&anySignificant == 0 {
				continue
			}
			for i := range rows {
				near := line[x] >> (3 * i)
				if near&(1<<bitSelf) != 0 || near&around == 0 {
					continue
				}
				context := &d.contexts[d.zero[near&511]&31]
				s := &mqStates[*context&127]
				symbol := uint32(s.mps)
				if a -= s.q; a >= mqTop && c >= s.q {
					c -= s.q
				} else {
					symbol, a, c = d.exchange(context, s, a, c)
				}
				if symbol != 0 {
					d.a, d.c = a, c
					d.becomes(at+x, i, d.sign(at+x, i), d.width*(y+i)+x, plane)
					a, c = d.a, d.c
				}
				line[x] |= 1 << (bitVisited + i)
			}
		}
	}
	d.a, d.c = a, c
}

// significanceRaw is the first pass with bits that bypass the arithmetic coder.
func (d *blockDecoder) significanceRaw(plane int) {
	for y := 0; y < d.height; y += 4 {
		rows := min(4, d.height-y)
		at := (y/4+1)*d.stride + 1
		for x := range d.width {
			f := &d.flags[at+x]
			if *f&anySignificant == 0 {
				continue
			}
			for i := range rows {
				near := *f >> (3 * i)
				if near&(1<<bitSelf) != 0 || near&around == 0 {
					continue
				}
				if d.raw.bit() != 0 {
					d.becomes(at+x, i, d.raw.bit(), d.width*(y+i)+x, plane)
				}
				*f |= 1 << (bitVisited + i)
			}
		}
	}
}

// refinement is the second pass (T.800 D.3.3).
func (d *blockDecoder) refinement(plane int) {
	half := int32(1) << plane
	a, c := d.a, d.c
	for y := 0; y < d.height; y += 4 {
		rows := min(4, d.height-y)
		line := d.flags[(y/4+1)*d.stride+1:][:d.width]
		for x, f := range line {
			if f&anySelf == 0 {
				continue
			}
			for i := range rows {
				if f>>(3*i+bitSelf)&^(f>>(bitVisited+i))&1 == 0 {
					continue
				}
				kind := contextMagnitude
				if f&(1<<(bitRefined+i)) != 0 {
					kind += 2
				} else if f>>(3*i)&around != 0 {
					kind++
				}
				context := &d.contexts[kind]
				s := &mqStates[*context&127]
				symbol := uint32(s.mps)
				if a -= s.q; a >= mqTop && c >= s.q {
					c -= s.q
				} else {
					symbol, a, c = d.exchange(context, s, a, c)
				}
				refined(&d.values[d.width*(y+i)+x], symbol, half)
			}
			// What is significant and was not found in this plane.
			line[x] |= (f>>bitSelf&1 | f>>(bitSelf+2)&2 | f>>(bitSelf+4)&4 | f>>(bitSelf+6)&8) &^ (f >> bitVisited) << bitRefined
		}
	}
	d.a, d.c = a, c
}

// refinementRaw is refinement with bits that bypass the arithmetic coder.
func (d *blockDecoder) refinementRaw(plane int) {
	for y := 0; y < d.height; y += 4 {
		line := d.flags[(y/4+1)*d.stride+1:][:d.width]
		for x, f := range line {
			for i := range min(4, d.height-y) {
				if f>>(3*i+bitSelf)&^(f>>(bitVisited+i))&1 != 0 {
					line[x] |= 1 << (bitRefined + i)
					refined(&d.values[d.width*(y+i)+x], d.raw.bit(), 1<<plane)
				}
			}
		}
	}
}

// refined puts another bit into a value: the half that stood for the unknown bit
// gives way to the bit's own.
func refined(value *int32, bit uint32, half int32) {
	toward := int32(bit^uint32(*value)>>31) - 1 // -1 where the magnitude becomes less
	*value += half ^ toward - toward
}

// cleanup is the last pass of a bit plane (T.800 D.3.4). It forgets what the
// significance pass visited.
func (d *blockDecoder) cleanup(plane int) {
	a, c := d.a, d.c
	for y := 0; y < d.height; y += 4 {
		rows := min(4, d.height-y)
		at := (y/4+1)*d.stride + 1
		line := d.flags[at:][:d.width]
		for x := range line {
			f := line[x]
			first, certain := 0, false
			if f&(anySignificant|allVisited) == 0 && rows == 4 {
				if first, a, c = d.run(a, c); first == 4 {
					continue
				}
				certain = true
			}
			for i := first; i < rows; i++ {
				near := line[x] >> (3 * i)
				if near&(1<<bitSelf) != 0 || f&(1<<(bitVisited+i)) != 0 {
					continue
				}
				symbol := uint32(1)
				if !certain {
					context := &d.contexts[d.zero[near&511]&31]
					s := &mqStates[*context&127]
					symbol = uint32(s.mps)
					if a -= s.q; a >= mqTop && c >= s.q {
						c -= s.q
					} else {
						symbol, a, c = d.exchange(context, s, a, c)
					}
				}
				if certain = false; symbol != 0 {
					d.a, d.c = a, c
					d.becomes(at+x, i, d.sign(at+x, i), d.width*(y+i)+x, plane)
					a, c = d.a, d.c
				}
			}
			line[x] &^= allVisited
		}
	}
	d.a, d.c = a, c
}

// run reads how many samples of a column, none of which has a significant
// neighbour, stay insignificant; 4 are all.
func (d *blockDecoder) run(a, c uint32) (length int, newA, newC uint32) {
	context := &d.contexts[contextRun]
	s := &mqStates[*context&127]
	symbol := uint32(s.mps)
	if a -= s.q; a >= mqTop && c >= s.q {
		c -= s.q
	} else {
		symbol, a, c = d.exchange(context, s, a, c)
	}
	if symbol == 0 {
		return 4, a, c
	}
	d.a, d.c = a, c
	length = int(d.decode(&d.contexts[contextUniform])<<1 | d.decode(&d.contexts[contextUniform]))
	return length, d.a, d.c
}

// sign decodes a sign from the signs of the four nearest (T.800 D.3.2).
func (d *blockDecoder) sign(at, i int) uint32 {
	near := d.flags[at] >> (3 * i)
	shift := bitSign + i
	index := near>>1&1 | near>>2&2 | near>>3&4 | near>>4&8 // above, left, right, below
	index |= d.flags[at]>>shift&1<<4 | d.flags[at-1]>>(shift+1)&1<<5 |
		d.flags[at+1]>>(shift+1)&1<<6 | d.flags[at]>>(shift+2)&1<<7
	entry := signContexts[index&255]
	return d.decode(&d.contexts[entry>>1]) ^ uint32(entry&1)
}

// becomes marks sample i of the flag word as significant, for itself and for its
// neighbours.
func (d *blockDecoder) becomes(at, i int, sign uint32, sample, plane int) {
	value := int32(3) << plane // 2·2^plane and its half
	if sign != 0 {
		value = -value
	}
	d.values[sample] = value
	flags := d.flags
	row := 3 * (i + 1)
	flags[at] |= 1<<(row+1) | sign<<(bitSign+1+i)
	flags[at-1] |= 1 << (row + 2)
	flags[at+1] |= 1 << row
	if i == 0 && !d.causal {
		up := at - d.stride
		flags[up] |= 1<<16 | sign<<(bitSign+5)
		flags[up-1] |= 1 << 17
		flags[up+1] |= 1 << 15
	}
	if i == 3 {
		down := at + d.stride
		flags[down] |= 1<<1 | sign<<bitSign
		flags[down-1] |= 1 << 2
		flags[down+1] |= 1
	}
}

// zeroContexts gives the context of significance by orientation and neighbours
// (T.800 table D.1).
var zeroContexts = func() (table [4][512]uint8) {
	for near := range 512 {
		bit := func(i int) int { return near >> i & 1 }
		across, down := bit(3)+bit(5), bit(1)+bit(7)
		diagonal := bit(0) + bit(2) + bit(6) + bit(8)
		table[0][near] = zeroContext(across, down, diagonal)
		table[1][near] = zeroContext(down, across, diagonal) // high pass across: they change places
		table[2][near] = table[0][near]
		table[3][near] = zeroContextDiagonal(across+down, diagonal)
	}
	return table
}()

func zeroContext(across, down, diagonal int) uint8 {
	switch {
	case across == 2:
		return 8
	case across == 1 && down >= 1:
		return 7
	case across == 1 && diagonal >= 1:
		return 6
	case across == 1:
		return 5
	case down == 2:
		return 4
	case down == 1:
		return 3
	}
	return uint8(min(diagonal, 2))
}

func zeroContextDiagonal(straight, diagonal int) uint8 {
	switch {
	case diagonal >= 3:
		return 8
	case diagonal == 2:
		return uint8(6 + min(straight, 1))
	case diagonal == 1:
		return uint8(3 + min(straight, 2))
	}
	return uint8(min(straight, 2))
}

// signContexts gives context << 1 | flip by significance (above, left, right,
// below) and signs of the four nearest (T.800 tables D.2 and D.3).
var signContexts = func() (table [256]uint8) {
	for index := range table {
		part := func(i int) int { return index >> i & 1 * (1 - index>>(i+4)&1*2) }
		across := min(max(part(1)+part(2), -1), 1)
		down := min(max(part(0)+part(3), -1), 1)
		flip := 0
		if across < 0 || across == 0 && down < 0 {
			across, down, flip = -across, -down, 1
		}
		context := contextSign
		if across == 1 {
			context = 12 + down
		} else if down == 1 {
			context = 10
		}
		table[index] = uint8(context<<1 | flip)
	}
	return table
}()
