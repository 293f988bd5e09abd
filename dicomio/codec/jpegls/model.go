package jpegls

import (
	"fmt"
	mathbits "math/bits"
)

// Contexts of T.87 A.3.3: regular ones, then two for the end of a run.
const (
	regularContexts = 365
	runContexts     = 2
)

// runOrders is the table J of T.87 A.2.1: the order of the code of run lengths.
var runOrders = [32]uint8{0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 9, 10, 11, 12, 13, 14, 15}

// context is what T.87 A.2.1 keeps of one context.
type context struct {
	a int32 // sum of error magnitudes
	b int32 // sum of errors; for run contexts the number of negative ones
	c int32 // correction of the prediction
	n int32 // errors seen
}

// model is the state of one scan; names in quotes are those of the standard.
type model struct {
	maxval, near   int32
	step           int32 // of the error's quantisation, 2·NEAR + 1
	span           int32 // "RANGE"
	escapeBits     int   // "qbpp"
	limit          int
	reset          int32
	quantised      []int8 // gradient + maxval -> -4 … 4
	contexts       [regularContexts + runContexts]context
	runIndex       int
	firstMagnitude int32
	t1, t2, t3     int32
}

// newModel derives the parameters of a scan (T.87 C.2.4.1.1 and A.2.1).
func newModel(precision, near int, p preset) (*model, error) {
	m := &model{maxval: 1<<precision - 1, near: int32(near), reset: 64}
	if p.maxval != 0 {
		m.maxval = int32(p.maxval)
	}
	if p.maxval > 1<<precision-1 || m.maxval < 1 {
		return nil, fmt.Errorf("jpeg-ls MAXVAL %d of %d bits", p.maxval, precision)
	}
	if m.near > min(255, m.maxval/2) {
		return nil, fmt.Errorf("jpeg-ls NEAR %d with MAXVAL %d", near, m.maxval)
	}
	if p.reset != 0 {
		m.reset = int32(p.reset)
	}
	m.thresholds(p)
	if m.t1 < m.near+1 || m.t2 < m.t1 || m.t3 < m.t2 || m.t3 > m.maxval || m.reset < 3 {
		return nil, fmt.Errorf("jpeg-ls thresholds %d, %d, %d and reset %d", m.t1, m.t2, m.t3, m.reset)
	}
	m.step = 2*m.near + 1
	m.span = (m.maxval+2*m.near)/m.step + 1
	m.escapeBits = mathbits.Len32(uint32(m.span - 1))
	width := max(2, mathbits.Len32(uint32(m.maxval)))
	m.limit = 2 * (width + max(8, width))
	m.firstMagnitude = max(2, (m.span+32)/64)
	m.quantised = make([]int8, 2*m.maxval+1)
	for i := range m.quantised {
		m.quantised[i] = m.quantise(int32(i) - m.maxval)
	}
	m.start()
	return m, nil
}

// thresholds takes those of the preset or computes the defaults (T.87 C.2.4.1.1.1).
func (m *model) thresholds(p preset) {
	clamp := func(value, lowest int32) int32 {
		if value > m.maxval || value < lowest {
			return lowest
		}
		return value
	}
	if m.maxval >= 128 {
		factor := (min(m.maxval, 4095) + 128) / 256
		m.t1 = clamp(factor+2+3*m.near, m.near+1)
		m.t2 = clamp(4*factor+3+5*m.near, m.t1)
		m.t3 = clamp(17*factor+4+7*m.near, m.t2)
	} else {
		factor := 256 / (m.maxval + 1)
		m.t1 = clamp(max(2, 3/factor+3*m.near), m.near+1)
		m.t2 = clamp(max(3, 7/factor+5*m.near), m.t1)
		m.t3 = clamp(max(4, 21/factor+7*m.near), m.t2)
	}
	for _, given := range []struct {
		to   *int32
		from int
	}{{&m.t1, p.t1}, {&m.t2, p.t2}, {&m.t3, p.t3}} {
		if given.from != 0 {
			*given.to = int32(given.from)
		}
	}
}

// quantise puts a gradient into one of nine regions (T.87 A.3.3).
func (m *model) quantise(gradient int32) int8 {
	size := max(gradient, -gradient)
	var region int8
	switch {
	case size <= m.near:
		return 0
	case size < m.t1:
		region = 1
	case size < m.t2:
		region = 2
	case size < m.t3:
		region = 3
	default:
		region = 4
	}
	if gradient < 0 {
		return -region
	}
	return region
}

// start sets the contexts as at the beginning of a scan or restart interval.
func (m *model) start() {
	for i := range m.contexts {
		m.contexts[i] = context{a: m.firstMagnitude, n: 1}
	}
	m.runIndex = 0
}

// row decodes one row. row[0] and above are filled in as T.87 A.2.1 wants them;
// samples stand from index 1. It reports whether the bits were codes.
func (m *model) row(row, above []int32, source *bits) bool {
	columns := len(row) - 2
	above = above[:len(row)]
	quantised, middle := m.quantised, m.maxval
	for x := 1; x <= columns; {
		a, b, c, d := row[x-1], above[x], above[x-1], above[x+1]
		region := 81*int32(quantised[d-b+middle]) + 9*int32(quantised[b-c+middle]) + int32(quantised[c-a+middle])
		if region == 0 {
			next, ok := m.run(row, above, x, source)
			if !ok {
				return false
			}
			x = next
			continue
		}
		value, ok := m.regular(region, a, b, c, source)
		if !ok {
			return false
		}
		row[x] = value
		x++
	}
	return true
}

// regular decodes a sample from its context (T.87 A.4 to A.6).
func (m *model) regular(region, a, b, c int32, source *bits) (sample int32, ok bool) {
	sign := region >> 31 // 0 or -1
	ctx := &m.contexts[(region^sign)-sign]
	prediction := a + b - c
	if lowest, highest := min(a, b), max(a, b); c >= highest {
		prediction = lowest
	} else if c <= lowest {
		prediction = highest
	}
	prediction = min(max(prediction+((ctx.c^sign)-sign), 0), m.maxval)
	k := order(ctx.n, ctx.a)
	coded, ok := source.golomb(k, m.limit, m.escapeBits)
	if !ok {
		return 0, false
	}
	e := coded>>1 ^ -(coded & 1) // 0, -1, 1, -2, …
	if k == 0 && m.near == 0 && 2*ctx.b <= -ctx.n {
		e = ^e // T.87 A.5.2: the mapping is turned
	}
	if max(e, -e) > m.span { // no encoder writes it, and sums could overflow
		return 0, false
	}
	ctx.update(e, m.step, m.reset)
	return m.reconstruct(prediction + ((e^sign)-sign)*m.step), true
}

// order is the Golomb code's k (T.87 A.5.1).
func order(n, a int32) int {
	k := max(0, mathbits.Len32(uint32(a))-mathbits.Len32(uint32(n)))
	if n<<k < a {
		k++
	}
	return k
}

// update learns from an error (T.87 A.6.1 and A.6.2).
func (c *context) update(e, step, reset int32) {
	c.b += e * step
	c.a += max(e, -e)
	if c.n == reset {
		c.a >>= 1
		c.b >>= 1
		c.n >>= 1
	}
	c.n++
	if c.b <= -c.n {
		c.b = max(c.b+c.n, 1-c.n)
		c.c = max(c.c-1, -128)
	} else if c.b > 0 {
		c.b = min(c.b-c.n, 0)
		c.c = min(c.c+1, 127)
	}
}

// reconstruct brings a sample back into the range (T.87 A.4.5).
func (m *model) reconstruct(sample int32) int32 {
	if sample < -m.near {
		sample += m.span * m.step
	} else if sample > m.maxval+m.near {
		sample -= m.span * m.step
	}
	return min(max(sample, 0), m.maxval)
}

// run decodes a run of one value and the sample that ends it, and gives the
// column after them (T.87 A.7).
func (m *model) run(row, above []int32, x int, source *bits) (next int, ok bool) {
	columns := len(row) - 2
	value := row[x-1]
	for {
		source.fill()
		whole := source.take(1) == 1
		length := 1 << runOrders[m.runIndex]
		if !whole {
			length = int(source.take(int(runOrders[m.runIndex])))
		} else if source.overrun() {
			return 0, false
		}
		left := columns + 1 - x
		if !whole && length >= left {
			return 0, false
		}
		fill := row[x : x+min(length, left)]
		for i := range fill {
			fill[i] = value
		}
		x += len(fill)
		if !whole {
			break
		}
		if length <= left && m.runIndex < 31 {
			m.runIndex++
		}
		if x > columns {
			return x, true
		}
	}
	row[x], ok = m.interruption(value, above[x], source)
	if m.runIndex > 0 {
		m.runIndex--
	}
	return x + 1, ok
}

// interruption decodes the sample that ends a run (T.87 A.7.2).
func (m *model) interruption(a, b int32, source *bits) (sample int32, ok bool) {
	kind, prediction, sign := int32(0), b, int32(1)
	if max(a-b, b-a) <= m.near {
		kind, prediction = 1, a
	} else if a > b {
		sign = -1
	}
	ctx := &m.contexts[regularContexts+kind]
	sum := ctx.a
	if kind == 1 {
		sum += ctx.n >> 1
	}
	k := order(ctx.n, sum)
	coded, ok := source.golomb(k, m.limit-int(runOrders[m.runIndex])-1, m.escapeBits)
	if !ok {
		return 0, false
	}
	doubled := coded + kind
	odd := doubled & 1
	e := (doubled + odd) >> 1
	if e > m.span {
		return 0, false
	}
	if (k != 0 || 2*ctx.b >= ctx.n) == (odd == 1) {
		e = -e
	}
	if e < 0 {
		ctx.b++
	}
	ctx.a += (coded + 1 - kind) >> 1
	if ctx.n == m.reset {
		ctx.a >>= 1
		ctx.b >>= 1
		ctx.n >>= 1
	}
	ctx.n++
	return m.reconstruct(prediction + sign*e*m.step), true
}
