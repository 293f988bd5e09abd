package jpeg2000

// exactLift is the reversible transform 5-3 (T.800 F.3.8.1).
type exactLift struct{}

func (exactLift) line(row, space []int32, low, odd int) {
	n := len(row)
	switch {
	case n == 1:
		row[0] >>= odd
		return
	case odd == 0:
		exactPairs(space, row[:low], row[low:])
	default: // tiles and pictures that begin at an odd place: rare
		mingle(space, row[:low], row[low:], 1)
		for i := 1; i < n; i += 2 {
			before, after := beside(i, n)
			space[i] -= (space[before] + space[after] + 2) >> 2
		}
		for i := 0; i < n; i += 2 {
			before, after := beside(i, n)
			space[i] += (space[before] + space[after]) >> 1
		}
	}
	copy(row, space)
}

// exactPairs lifts and mingles in one go: a row that begins with a low sample.
func exactPairs(out, low, high []int32) {
	n := len(high)
	before := high[0]
	even := low[0] - (2*before+2)>>2
	pairs := out[:2*n]
	at := 0
	rest, lows := high[1:], low[1:]
	m := min(len(rest), len(lows))
	rest, lows = rest[:m], lows[:m]
	for i, h := range rest {
		next := lows[i] - (before+h+2)>>2
		pair := pairs[at : at+2 : at+2]
		pair[0], pair[1] = even, before+(even+next)>>1
		even, before = next, h
		at += 2
	}
	pairs[at] = even
	if len(low) > n {
		next := low[n] - (2*before+2)>>2
		pairs[at+1], out[2*n] = before+(even+next)>>1, next
	} else {
		pairs[at+1] = before + even
	}
}

func (exactLift) rows(rows lines[int32], odd int, ready func(int)) {
	n := rows.count
	if n == 1 {
		ready(0)
		for x, value := range rows.row(0) {
			rows.row(0)[x] = value >> odd
		}
		return
	}
	last := odd
	for i := odd; i < n; i += 2 {
		ready(min(i+1, n-1))
		before, after := beside(i, n)
		exactLow(rows.row(i), rows.row(before), rows.row(after))
		if i > 0 {
			before, after := beside(i-1, n)
			exactHigh(rows.row(i-1), rows.row(before), rows.row(after))
		}
		last = i
	}
	if i := last + 1; i < n {
		before, after := beside(i, n)
		exactHigh(rows.row(i), rows.row(before), rows.row(after))
	}
}

func exactLow(row, a, b []int32) {
	a, b = a[:len(row)], b[:len(row)]
	for x := range row {
		row[x] -= (a[x] + b[x] + 2) >> 2
	}
}

func exactHigh(row, a, b []int32) {
	a, b = a[:len(row)], b[:len(row)]
	for x := range row {
		row[x] += (a[x] + b[x]) >> 1
	}
}

// realLift is the irreversible transform 9-7 (T.800 F.3.8.2); its scaling is done
// with the quantisation.
type realLift struct{}

// The lifting steps in the order in which they are undone (T.800 table F.4):
// steps of low, high, low and high samples.
const (
	undoDelta = -0.443506852043971
	undoGamma = -0.882911075530934
	undoBeta  = 0.052980118572961
	undoAlpha = 1.586134342059924
)

var realSteps = [4]float32{undoDelta, undoGamma, undoBeta, undoAlpha}

func (realLift) line(row, space []float32, low, odd int) {
	n := len(row)
	if n == 1 {
		return
	}
	if odd == 0 {
		realPairs(row[:low], row[low:], undoDelta, undoGamma)
		realPairs(row[:low], row[low:], undoBeta, undoAlpha)
		mingle(space, row[:low], row[low:], 0)
	} else {
		mingle(space, row[:low], row[low:], 1)
		for step, factor := range realSteps {
			for i := 1 - step&1; i < n; i += 2 {
				before, after := beside(i, n)
				space[i] += factor * (space[before] + space[after])
			}
		}
	}
	copy(row, space)
}

// realPairs does a step of the low samples and one of the high samples of a row
// that begins with a low one.
func realPairs(low, high []float32, f, g float32) {
	n := len(high)
	before := high[0]
	even := low[0] + f*(before+before)
	low[0] = even
	m := min(len(low), n)
	lows, highs := low[:m], high[:m]
	for i := 1; i < m; i++ {
		h := highs[i]
		next := lows[i] + f*(before+h)
		lows[i] = next
		highs[i-1] = before + g*(even+next)
		even, before = next, h
	}
	next := even
	if len(low) > n {
		next = low[n] + f*(before+before)
		low[n] = next
	}
	high[n-1] = before + g*(even+next)
}

// rows takes a step on each of four rows in turn, each as soon as its neighbours
// are there, so that rows are touched while they are in the cache.
func (realLift) rows(rows lines[float32], odd int, ready func(int)) {
	n := rows.count
	if n == 1 {
		ready(0)
		return
	}
	step := func(i, number int) {
		if i >= 0 && i < n {
			before, after := beside(i, n)
			realStep(rows.row(i), rows.row(before), rows.row(after), realSteps[number])
		}
	}
	for i := odd; i < n+3; i += 2 {
		ready(min(i+1, n-1))
		step(i, 0)
		step(i-1, 1)
		step(i-2, 2)
		step(i-3, 3)
	}
}

func realStep(row, a, b []float32, factor float32) {
	a, b = a[:len(row)], b[:len(row)]
	for x := range row {
		row[x] += factor * (a[x] + b[x])
	}
}
