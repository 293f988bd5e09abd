package jpeg

// The inverse DCT of Loeffler, Ligtenberg and Moschytz ("Practical fast 1-D DCT
// algorithms with 11 multiplications", ICASSP 1989) in fixed point with the scale
// that the common C libraries use, so that lossy pixels agree with theirs.
const (
	fractionBits = 13 // of the constants
	carryBits    = 2  // kept between the passes

	fix0298631336 = 2446
	fix0390180644 = 3196
	fix0541196100 = 4433
	fix0765366865 = 6270
	fix0899976223 = 7373
	fix1175875602 = 9633
	fix1501321110 = 12299
	fix1847759065 = 15137
	fix1961570560 = 16069
	fix2053119869 = 16819
	fix2562915447 = 20995
	fix3072711026 = 25172
)

// transform turns a block of coefficients into samples of 0 to highest, and
// writes them with the given distance between rows.
func transform(block *[64]int, out []uint16, stride, middle, highest int) {
	for x := range 8 {
		if block[8+x]|block[16+x]|block[24+x]|block[32+x]|block[40+x]|block[48+x]|block[56+x] == 0 {
			flat := block[x] << carryBits
			for y := range 8 {
				block[8*y+x] = flat
			}
			continue
		}
		column := [8]int{block[x], block[8+x], block[16+x], block[24+x], block[32+x], block[40+x], block[48+x], block[56+x]}
		oneDimension(&column, fractionBits-carryBits)
		for y, value := range column {
			block[8*y+x] = value
		}
	}
	for y := range 8 {
		row := (*[8]int)(block[8*y:])
		oneDimension(row, fractionBits+carryBits+3)
		line := out[stride*y:][:8]
		for x, value := range row {
			line[x] = uint16(min(max(value+middle, 0), highest))
		}
	}
}

// oneDimension transforms eight values in place and takes shift bits away,
// rounding.
func oneDimension(v *[8]int, shift int) {
	// Even part.
	z1 := (v[2] + v[6]) * fix0541196100
	t2, t3 := z1-v[6]*fix1847759065, z1+v[2]*fix0765366865
	t0, t1 := (v[0]+v[4])<<fractionBits, (v[0]-v[4])<<fractionBits
	e0, e3, e1, e2 := t0+t3, t0-t3, t1+t2, t1-t2
	// Odd part.
	z1, z2, z3, z4 := v[7]+v[1], v[5]+v[3], v[7]+v[3], v[5]+v[1]
	z5 := (z3 + z4) * fix1175875602
	z1, z2 = -z1*fix0899976223, -z2*fix2562915447
	z3, z4 = z5-z3*fix1961570560, z5-z4*fix0390180644
	o0 := v[7]*fix0298631336 + z1 + z3
	o1 := v[5]*fix2053119869 + z2 + z4
	o2 := v[3]*fix3072711026 + z2 + z3
	o3 := v[1]*fix1501321110 + z1 + z4

	half := 1 << (shift - 1)
	v[0], v[7] = (e0+o3+half)>>shift, (e0-o3+half)>>shift
	v[1], v[6] = (e1+o2+half)>>shift, (e1-o2+half)>>shift
	v[2], v[5] = (e2+o1+half)>>shift, (e2-o1+half)>>shift
	v[3], v[4] = (e3+o0+half)>>shift, (e3-o0+half)>>shift
}
