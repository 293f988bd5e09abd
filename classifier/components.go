package classifier

// components finds the largest 4-connected region above a threshold (step 3 of
// the recipe). Regions are runs of cells within a row, joined by union-find.
type components struct {
	runs   []run
	parent []int32 // of each run; a root is its own parent, and the earliest run of its region
	boxes  []box   // of each root
}

// run is columns start to stop, stop excluded, of one row.
type run struct{ row, start, stop int32 }

// box is a region's bounds in cells, bottom and right excluded, and its size.
type box struct{ top, left, bottom, right, cells int }

// largest gives the region with the most cells above the threshold; of equals,
// the one whose first cell comes first row by row. All zero when there is none.
func (c *components) largest(cells []float64, columns int, threshold float64) box {
	c.runs, c.parent = c.runs[:0], c.parent[:0]
	above := 0 // first run of the row above
	for row := 0; row*columns < len(cells); row++ {
		here := len(c.runs)
		c.scan(cells[row*columns:][:columns], int32(row), threshold)
		c.join(above, here)
		above = here
	}
	c.boxes = grow(c.boxes, len(c.runs))
	clear(c.boxes)
	var best box
	for i, r := range c.runs {
		b := &c.boxes[c.root(int32(i))]
		if b.cells == 0 {
			*b = box{top: int(r.row), left: int(r.start), right: int(r.stop)}
		}
		b.left, b.right = min(b.left, int(r.start)), max(b.right, int(r.stop))
		b.bottom = int(r.row) + 1
		b.cells += int(r.stop - r.start)
	}
	for _, b := range c.boxes {
		if b.cells > best.cells {
			best = b
		}
	}
	return best
}

// scan appends the runs of one row.
func (c *components) scan(row []float64, y int32, threshold float64) {
	for x := 0; x < len(row); x++ {
		if row[x] <= threshold {
			continue
		}
		start := x
		for x++; x < len(row) && row[x] > threshold; x++ {
		}
		c.parent = append(c.parent, int32(len(c.runs)))
		c.runs = append(c.runs, run{row: y, start: int32(start), stop: int32(x)})
	}
}

// join unites the runs from here on with those from above that touch them. Both
// rows are in order, so each pair is looked at once.
func (c *components) join(above, here int) {
	i, j := above, here
	for i < here && j < len(c.runs) {
		a, b := c.runs[i], c.runs[j]
		if a.start < b.stop && b.start < a.stop {
			p, q := c.root(int32(i)), c.root(int32(j))
			c.parent[max(p, q)] = min(p, q)
		}
		if a.stop < b.stop {
			i++
		} else {
			j++
		}
	}
}

// root finds the region's earliest run and shortens the way there.
func (c *components) root(i int32) int32 {
	for c.parent[i] != i {
		c.parent[i] = c.parent[c.parent[i]]
		i = c.parent[i]
	}
	return i
}
