package jpeg2000

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
)

// workspace is what decoding a code-block needs beside its data; it is reused.
type workspace struct {
	flags  []uint32 // one word wider than the block on each side, one stripe higher
	values []int32  // twice the magnitude with the half of the last plane, signed
	stride int      // between rows of values
	joined []byte   // codewords that came in several pieces
	words  []codeword
	high   highSpace
}

// codeword is a terminated piece of a code-block's data.
type codeword struct {
	data   []byte
	passes int
}

// manySamples is the size of a tile above which code-blocks are decoded on all
// processors: below it the slices of a study keep them busy.
const manySamples = 1 << 20

// job is a code-block and its band.
type job struct {
	block *block
	band  *band
}

// listBlocks gives the code-blocks that have data, and takes their cost off the
// budget.
func (t *tile) listBlocks() ([]job, error) {
	if cap(t.jobs) < t.space.blocks.used {
		t.jobs = make([]job, 0, t.space.blocks.used)
	}
	jobs := t.jobs[:0]
	for i := range t.resolutions {
		r := &t.resolutions[i]
		for j := range r.precincts {
			for k := range r.bandCount {
				blocks := r.precincts[j].parts[k].blocks
				for n := range blocks {
					b := &blocks[n]
					if b.first == 0 {
						continue
					}
					cost := int(b.width) * int(b.height) * (int(b.passes)/3 + 1)
					if err := spend(&t.budget.samples, cost, "coding passes"); err != nil {
						return nil, err
					}
					jobs = append(jobs, job{b, &r.bands[k]})
				}
			}
		}
	}
	return jobs, nil
}

// decodeBlocks decodes every code-block that has data into the place of its band.
func decodeBlocks[T any](t *tile, buffer []T, store func(out []T, values []int32, b *band)) error {
	jobs, err := t.listBlocks()
	if err != nil {
		return err
	}
	one := func(w *workspace, j job) error {
		if err := t.decodeBlock(w, j); err != nil {
			return err
		}
		width := int(j.block.width)
		at := j.band.start + (int(j.block.y0)-j.band.y0)*j.band.stride + int(j.block.x0) - j.band.x0
		for y := range int(j.block.height) {
			store(buffer[at+y*j.band.stride:], w.values[y*w.stride:][:width], j.band)
		}
		return nil
	}
	if workers := runtime.GOMAXPROCS(0); workers > 1 && len(buffer) > manySamples {
		return together(jobs, workers, one)
	}
	for _, j := range jobs {
		if err := one(&t.work, j); err != nil {
			return err
		}
	}
	return nil
}

// together does the jobs on several goroutines. A panic of one is an error: it
// would end the process where the caller cannot recover it.
func together(jobs []job, workers int, do func(*workspace, job) error) error {
	var next atomic.Int64
	errs := make([]error, workers)
	var group sync.WaitGroup
	for worker := range workers {
		group.Go(func() {
			defer func() {
				if cause := recover(); cause != nil {
					errs[worker] = fmt.Errorf("decode a code-block: %v", cause)
				}
			}()
			w := &workspace{}
			for errs[worker] == nil {
				i := int(next.Add(1)) - 1
				if i >= len(jobs) {
					return
				}
				errs[worker] = do(w, jobs[i])
			}
			next.Store(int64(len(jobs))) // the picture is spoilt: the others may stop
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

// decodeBlock decodes a code-block of either kind into w.values.
func (t *tile) decodeBlock(w *workspace, j job) error {
	s := t.style
	planes := j.band.planes + s.roi
	var err error
	if s.blockStyle&styleHigh != 0 {
		err = w.decodeHigh(t, j.block, planes)
	} else {
		w.gather(t, j.block)
		err = w.decodePlanes(j.block, j.band.orientation, planes, s)
	}
	if s.roi > 0 { // T.800 H.1: what stands above the shift belongs to the region
		for i, value := range w.values {
			size := max(value, -value)
			if size>>1 < 1<<s.roi {
				continue
			}
			if size >>= s.roi; value < 0 {
				size = -size
			}
			w.values[i] = size
		}
	}
	return err
}

// gather puts the pieces of the block's codewords together.
func (w *workspace) gather(t *tile, b *block) {
	w.words, w.joined = w.words[:0], w.joined[:0]
	for number := b.first; number > 0; {
		p := t.space.pieces[number-1]
		number = p.next
		data := t.bodies[p.at : p.at+p.length : p.at+p.length]
		if p.most > 0 || len(w.words) == 0 {
			w.words = append(w.words, codeword{data, int(p.passes)})
			continue
		}
		word := &w.words[len(w.words)-1]
		word.passes += int(p.passes)
		word.data = w.join(word.data, data)
	}
}

// join appends to data in memory that is kept until the next block. It may move;
// what was joined before stays where it was.
func (w *workspace) join(data, more []byte) []byte {
	if n := len(w.joined); n < len(data) || len(data) == 0 || &w.joined[n-len(data)] != &data[0] {
		w.joined = append(w.joined, data...)
	}
	start := len(w.joined) - len(data)
	w.joined = append(w.joined, more...)
	return w.joined[start:len(w.joined):len(w.joined)]
}

// grown gives a cleared slice of the length, reusing the memory of s.
func grown[T any](s []T, length int) []T {
	if cap(s) < length {
		return make([]T, length)
	}
	s = s[:length]
	clear(s)
	return s
}
