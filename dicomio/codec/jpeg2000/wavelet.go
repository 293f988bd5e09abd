package jpeg2000

// scale is K of the irreversible transform (T.800 table F.4).
const scale = 1.230174104914001

// highScale stands for 1/K. OpenJPEG, which most readers and writers of DICOM
// are built on, has 1.625732422 for 2/K in place of 1.625786132; at 16 bits that
// is some grey levels, and agreeing with what everybody else shows is worth more
// than the last digits. High throughput, which OpenJPH brought, has 1/K itself.
const highScale = 1.625732422 / 2

// reconstruct decodes the code-blocks of the tile, transforms them back, and
// writes the samples.
func (t *tile) reconstruct() error {
	width, height := t.area.width(), t.area.height()
	if t.style.reversible {
		t.exact = grown(t.exact, width*height)
		if err := decodeBlocks(t, t.exact, storeExact); err != nil {
			return err
		}
		inverse(t, t.exact, exactLift{})
		t.putExact()
		return nil
	}
	t.real = grown(t.real, width*height)
	if err := decodeBlocks(t, t.real, storeReal); err != nil {
		return err
	}
	inverse(t, t.real, realLift{})
	t.putReal()
	return nil
}

// storeExact halves the doubled values, toward zero.
func storeExact(out, values []int32, _ *band) {
	out = out[:len(values)]
	for i, value := range values {
		out[i] = value / 2
	}
}

// storeReal multiplies by the quantisation step.
func storeReal(out []float32, values []int32, b *band) {
	out = out[:len(values)]
	step := b.step / 2
	for i, value := range values {
		out[i] = float32(value) * step
	}
}

// lifting is a transform of lines of samples.
type lifting[T any] interface {
	// line undoes the transform of a row: low-pass samples stand before the others,
	// and come out mingled. odd is 1 if the first sample's coordinate is odd; space
	// is as long as the row.
	line(row, space []T, low, odd int)
	// rows undoes it down the columns of rows that are mingled already. ready is
	// told of each row before it is touched, in order.
	rows(rows lines[T], odd int, ready func(row int))
}

// lines are rows of one length with equal distances.
type lines[T any] struct {
	buffer        []T
	start, stride int
	width, count  int
}

func (l lines[T]) row(i int) []T {
	at := l.start + i*l.stride
	return l.buffer[at : at+l.width : at+l.width]
}

// inverse transforms the tile back, resolution by resolution, in place (T.800
// F.3): across first, then down.
func inverse[T any, L lifting[T]](t *tile, buffer []T, lift L) {
	space := make([]T, t.area.width())
	for i := range t.resolutions[1:] {
		r := &t.resolutions[i+1]
		if r.empty() {
			continue
		}
		n := t.style.levels - r.level
		rows := lines[T]{
			buffer: buffer, start: (r.y0<<n - t.area.y0) * t.area.width(), stride: t.area.width() << n,
			width: r.width(), count: r.height(),
		}
		low := lowCount(r.x0, r.x1)
		done := 0
		lift.rows(rows, r.y0&1, func(row int) {
			for ; done <= row; done++ {
				lift.line(rows.row(done), space[:rows.width], low, r.x0&1)
			}
		})
	}
}

// beside gives the places beside i, mirrored at the ends (T.800 F.3.7).
func beside(i, n int) (before, after int) {
	before, after = i-1, i+1
	if before < 0 {
		before = 1
	}
	if after >= n {
		after = n - 2
	}
	return before, after
}

// mingle puts low and high samples where their coordinates are even and odd.
func mingle[T any](row, low, high []T, odd int) {
	for i, value := range low {
		row[2*i+odd] = value
	}
	for i, value := range high {
		row[2*i+1-odd] = value
	}
}
