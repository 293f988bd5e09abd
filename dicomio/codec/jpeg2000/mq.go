package jpeg2000

import mathbits "math/bits"

// mqState is a row of T.800 table C.2 for one sense of the more probable symbol.
type mqState struct {
	q          uint32 // Qe, in the upper half
	mps        uint8
	nmps, nlps uint8 // states: row << 1 | symbol
}

// mqRows is T.800 table C.2: Qe, next row after a more and a less probable
// symbol, and whether the sense switches.
var mqRows = [47][4]uint16{
	{0x5601, 1, 1, 1}, {0x3401, 2, 6, 0}, {0x1801, 3, 9, 0}, {0x0AC1, 4, 12, 0}, {0x0521, 5, 29, 0}, {0x0221, 38, 33, 0},
	{0x5601, 7, 6, 1}, {0x5401, 8, 14, 0}, {0x4801, 9, 14, 0}, {0x3801, 10, 14, 0}, {0x3001, 11, 17, 0}, {0x2401, 12, 18, 0},
	{0x1C01, 13, 20, 0}, {0x1601, 29, 21, 0}, {0x5601, 15, 14, 1}, {0x5401, 16, 14, 0}, {0x5101, 17, 15, 0}, {0x4801, 18, 16, 0},
	{0x3801, 19, 17, 0}, {0x3401, 20, 18, 0}, {0x3001, 21, 19, 0}, {0x2801, 22, 19, 0}, {0x2401, 23, 20, 0}, {0x2201, 24, 21, 0},
	{0x1C01, 25, 22, 0}, {0x1801, 26, 23, 0}, {0x1601, 27, 24, 0}, {0x1401, 28, 25, 0}, {0x1201, 29, 26, 0}, {0x1101, 30, 27, 0},
	{0x0AC1, 31, 28, 0}, {0x09C1, 32, 29, 0}, {0x08A1, 33, 30, 0}, {0x0521, 34, 31, 0}, {0x0441, 35, 32, 0}, {0x02A1, 36, 33, 0},
	{0x0221, 37, 34, 0}, {0x0141, 38, 35, 0}, {0x0111, 39, 36, 0}, {0x0085, 40, 37, 0}, {0x0049, 41, 38, 0}, {0x0025, 42, 39, 0},
	{0x0015, 43, 40, 0}, {0x0009, 44, 41, 0}, {0x0005, 45, 42, 0}, {0x0001, 45, 43, 0}, {0x5601, 46, 46, 0},
}

// mqStates is mqRows for both senses, a power of two long so that an index needs
// no check.
var mqStates = func() (states [128]mqState) {
	for row, r := range mqRows {
		for symbol := range uint8(2) {
			states[row<<1|int(symbol)] = mqState{
				q: uint32(r[0]) << 16, mps: symbol,
				nmps: uint8(r[1])<<1 | symbol, nlps: uint8(r[2])<<1 | symbol ^ uint8(r[3]),
			}
		}
	}
	return states
}()

// mq is the arithmetic decoder of T.800 annex C. Beyond its data it reads ones,
// as the standard wants. The interval A stands in the upper half of a, where it
// can be compared with c. Loops that decode a bit for every sample keep a and c
// in registers: they take the likely symbol themselves where nothing has to be
// shifted, as decode does, and leave the rest to exchange.
type mq struct {
	src  []byte
	pos  int
	a, c uint32
	left int // shifts until the next byte
}

const mqTop = 0x8000 << 16 // a stays at or above it

// start begins a codeword (T.800 C.3.5).
func (m *mq) start(src []byte) {
	m.src, m.pos, m.c, m.left = src, 0, 0xFF<<16, 0
	if len(src) > 0 {
		m.c = uint32(src[0]) << 16
	}
	m.c = m.next(m.c) << 7
	m.left -= 7
	m.a = mqTop
}

// next brings a byte in (T.800 C.3.4).
func (m *mq) next(c uint32) uint32 {
	current, following := byte(0xFF), byte(0xFF)
	if m.pos+1 < len(m.src) {
		current, following = m.src[m.pos], m.src[m.pos+1]
	} else if m.pos < len(m.src) {
		current = m.src[m.pos]
	}
	switch {
	case current != 0xFF:
		m.pos++
		m.left = 8
		return c + uint32(following)<<8
	case following > 0x8F:
		m.left = 8
		return c + 0xFF00
	}
	m.pos++
	m.left = 7
	return c + uint32(following)<<9
}

// decode reads a decision in a context (T.800 C.3.2).
func (m *mq) decode(context *uint8) uint32 {
	s := &mqStates[*context&127]
	a := m.a - s.q
	if a >= mqTop && m.c >= s.q {
		m.a, m.c = a, m.c-s.q
		return uint32(s.mps)
	}
	var symbol uint32
	symbol, m.a, m.c = m.exchange(context, s, a, m.c)
	return symbol
}

// exchange is the rest of decode: what it gives is the symbol and the new a and c.
func (m *mq) exchange(context *uint8, s *mqState, a, c uint32) (symbol, newA, newC uint32) {
	symbol = uint32(s.mps)
	likely := a >= s.q
	if c >= s.q {
		c -= s.q
	} else {
		a, likely = s.q, !likely
	}
	if likely {
		*context = s.nmps
	} else {
		*context = s.nlps
		symbol ^= 1
	}
	shift := mathbits.LeadingZeros32(a)
	a <<= shift
	for shift > m.left {
		c <<= m.left
		shift -= m.left
		c = m.next(c)
	}
	m.left -= shift
	return symbol, a, c << shift
}

// raw reads bits that bypass the arithmetic decoder; the byte after 0xFF holds
// seven (T.800 D.6). Beyond its data it reads ones.
type raw struct {
	src  []byte
	pos  int
	byte byte
	left int
}

func (r *raw) bit() uint32 {
	if r.left == 0 {
		r.left = 8
		if r.byte == 0xFF {
			r.left = 7
		}
		r.byte = 0xFF
		if r.pos < len(r.src) {
			r.byte = r.src[r.pos]
			r.pos++
		}
	}
	r.left--
	return uint32(r.byte>>r.left) & 1
}
