package jpeg2000

import mathbits "math/bits"

// quadCode is a code's meaning, as it stands in quadCodesFirst: from bit 0 the
// samples that are significant, from 4 those whose exponent is known, from 8
// those where it is one; bit 12 tells that a u follows; from 13 the code's length.
type quadCode uint16

func (c quadCode) significant() uint32 { return uint32(c) & 15 }
func (c quadCode) follows() bool       { return c&(1<<12) != 0 }
func (c quadCode) length() int         { return int(c >> 13) }

// quadTables are the codes by row (the first, the others), context and next
// seven bits.
var quadTables = func() (tables [2][8][128]quadCode) {
	for row, codes := range [][]uint32{quadCodesFirst[:], quadCodesOther[:]} {
		for _, c := range codes {
			digit := func(i int) quadCode { return quadCode(c>>(4*i)) & 15 }
			code := digit(6) | digit(4)<<4 | digit(3)<<8 | digit(5)<<12 | digit(2)<<13
			for high := 0; high < 128; high += 1 << code.length() {
				tables[row][digit(7)][high|int(c&0xFF)] = code
			}
		}
	}
	return tables
}()

// quad is 2 × 2 samples; sample j stands in column j/2 and row j%2.
type quad struct {
	code quadCode
	u    uint8
}

// highDecoder decodes the cleanup pass of one code-block, a row of quads at a
// time: what they are first, then their samples.
type highDecoder struct {
	magnitudes  lowBits
	runs        runDecoder
	codes       backward
	width       int
	plane       int
	most        int     // largest exponent that the bit planes allow
	quads       []quad  // of the row
	above, here []uint8 // exponents, zero where not significant, from index 2
}

// codesOfRow reads the codes of a row of quads, two of them at a time.
func (d *highDecoder) codesOfRow(first bool) bool {
	table := &quadTables[1]
	if first {
		table = &quadTables[0]
	}
	var left uint32 // significance of the quad before
	for x := 0; x < d.width; x += 4 {
		pair := d.quads[x/2:][:2:2]
		pair[0], pair[1] = quad{}, quad{}
		for i := range pair {
			if x+2*i >= d.width {
				break
			}
			context := left>>2&1 | left>>3&1
			if first {
				context = left&1 | left>>1&1 | left>>1&2 | left>>1&4
			} else {
				above := d.above[x+2*i+1:][:4:4]
				context <<= 1
				if above[0]|above[1] != 0 {
					context |= 1
				}
				if above[2]|above[3] != 0 {
					context |= 4
				}
			}
			var code quadCode
			if context != 0 || d.runs.next() {
				if d.codes.n < 7 {
					d.codes.fill()
				}
				code = table[context&7][d.codes.acc&127]
				d.codes.take(code.length())
			}
			pair[i].code = code
			left = code.significant()
		}
		if (pair[0].code | pair[1].code).follows() && !d.exponents(pair, first) {
			return false
		}
	}
	return true
}

// exponents reads the u of a pair of quads (T.814 7.3.6).
func (d *highDecoder) exponents(pair []quad, first bool) bool {
	both := first && pair[0].code.follows() && pair[1].code.follows()
	more := 0
	if both && d.runs.next() {
		both, more = false, 2
	}
	if d.codes.n < 16 {
		d.codes.fill()
	}
	var u, suffixes [2]int
	for i := range u {
		switch {
		case !pair[i].code.follows():
		case both && i == 1 && u[0] > 2: // the second is 1 or 2
			u[1] = 1 + d.codes.take(1)
		default:
			u[i], suffixes[i] = d.codes.prefix()
			u[i] += more
		}
	}
	for i, length := range suffixes {
		suffix := d.codes.take(length)
		if suffix >= 28 { // would be extended, for exponents that no picture here has
			return false
		}
		pair[i].u = uint8(u[i] + suffix)
	}
	return true
}

// samplesOfRow reads the magnitudes and signs of a row of quads (T.814 7.3.7 and
// 7.3.8).
func (d *highDecoder) samplesOfRow(upper, lower []int32, first bool) bool {
	here, above := d.here, d.above
	bits := &d.magnitudes
	acc, n := bits.acc, bits.n
	for i, q := range d.quads[:(d.width+1)/2] {
		significant := q.code.significant()
		exponents := here[2*i+2:][:2:2]
		if significant == 0 {
			exponents[0], exponents[1] = 0, 0
			continue
		}
		bound := int(q.u) + 1
		if !first && significant&(significant-1) != 0 { // κ, to which u adds
			near := above[2*i+1:][:4:4]
			bound = int(q.u) + max(1, int(max(near[0], near[1], near[2], near[3]))-1)
		}
		if bound > d.most {
			return false
		}
		var out [4]uint32
		for j := range out {
			if significant>>j&1 == 0 {
				continue
			}
			if n < 32 {
				bits.acc, bits.n = acc, n
				bits.fill()
				acc, n = bits.acc, bits.n
			}
			length := bound - int(q.code>>(4+j)&1)
			out[j] = uint32(acc)&(1<<(length&31)-1) | uint32(q.code>>(8+j)&1)<<(length&31) | 1<<31
			acc >>= length & 63
			n -= length
		}
		exponents[0], exponents[1] = exponentOf(out[1]), exponentOf(out[3])
		top, bottom := upper[2*i:][:2:2], lower[2*i:][:2:2]
		top[0], bottom[0] = sampleOf(out[0], d.plane), sampleOf(out[1], d.plane)
		top[1], bottom[1] = sampleOf(out[2], d.plane), sampleOf(out[3], d.plane)
	}
	bits.acc, bits.n = acc, n
	return true
}

// exponentOf is the exponent of a sample of which v is 2(μ-1) and the sign below
// bit 31, which tells that there is one.
func exponentOf(v uint32) uint8 {
	if v == 0 {
		return 0
	}
	return uint8(mathbits.Len32(v&^(1<<31) | 1))
}

// sampleOf is μ and a half, doubled, of the same v.
func sampleOf(v uint32, plane int) int32 {
	if v == 0 {
		return 0
	}
	value := int32((v&^(1<<31)|1)+2) << (plane & 31)
	sign := -int32(v & 1)
	return value ^ sign - sign
}
