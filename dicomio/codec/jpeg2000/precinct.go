package jpeg2000

// space holds what a tile is made of; tiles share it one after another.
type space struct {
	resolutions arena[resolution]
	precincts   arena[precinct]
	blocks      arena[block]
	nodes       arena[tagNode]
	pieces      []piece
}

func (s *space) reset() {
	s.resolutions.reset()
	s.precincts.reset()
	s.blocks.reset()
	s.nodes.reset()
	s.pieces = s.pieces[:0]
}

// precinct groups the code-blocks of a packet.
type precinct struct {
	parts [3]precinctBand
	layer int32 // the next one
	level int8  // its resolution
	index int32 // in the resolution
	x, y  int32 // where position progressions find it (T.800 B.12.1.4)
}

// precinctBand is a precinct's share of one band.
type precinctBand struct {
	blocks    []block
	inclusion tagTree
	zeroes    tagTree
}

// block is a code-block with what packets brought.
type block struct {
	x0, y0        int32 // in the band's coordinates
	width, height uint16
	included      bool
	planes        uint8 // missing from the top
	length        uint8 // Lblock
	passes        uint8
	// Of T.814: the pass that is the last set's cleanup, counted from one; none
	// while only placeholders came.
	cleanup     uint8
	refinements uint8 // passes behind it
	first, last int32 // of its pieces, from one; 0 for none
}

// piece is a packet's contribution to a codeword of a code-block.
type piece struct {
	at, length int32 // in the tile's bodies
	next       int32 // piece, from one
	passes     uint8
	most       uint8 // passes that a codeword may have that starts here; 0 in its middle
}

// layOutPrecinct makes the code-blocks of a precinct (T.800 B.6 and B.7).
func (t *tile) layOutPrecinct(r *resolution, index int) {
	s := t.style
	px, py := r.x0>>r.precinctX+index%r.across, r.y0>>r.precinctY+index/r.across
	n := s.levels - r.level
	p := &r.precincts[index]
	*p = precinct{
		level: int8(r.level), index: int32(index),
		x: int32(max(t.area.x0, px<<(r.precinctX+n))), y: int32(max(t.area.y0, py<<(r.precinctY+n))),
	}
	sizeX, sizeY := r.precinctX, r.precinctY
	if r.level > 0 {
		sizeX, sizeY = sizeX-1, sizeY-1
	}
	blockX, blockY := min(s.blockX, sizeX), min(s.blockY, sizeY)
	for i := range r.bandCount {
		b := &r.bands[i]
		area := rectangle{
			max(b.x0, px<<sizeX), max(b.y0, py<<sizeY), min(b.x1, (px+1)<<sizeX), min(b.y1, (py+1)<<sizeY),
		}
		if area.empty() {
			continue
		}
		x0, y0 := area.x0>>blockX, area.y0>>blockY
		across, down := ceilShift(area.x1, blockX)-x0, ceilShift(area.y1, blockY)-y0
		part := &p.parts[i]
		part.inclusion, part.zeroes = newTagTree(across, down, &t.space.nodes), newTagTree(across, down, &t.space.nodes)
		part.blocks = t.space.blocks.take(across * down)
		for i := range part.blocks {
			x, y := x0+i%across, y0+i/across
			left, top := max(area.x0, x<<blockX), max(area.y0, y<<blockY)
			part.blocks[i] = block{
				x0: int32(left), y0: int32(top), length: 3,
				width: uint16(min(area.x1, (x+1)<<blockX) - left), height: uint16(min(area.y1, (y+1)<<blockY) - top),
			}
		}
	}
}

// tagTree is the tree of T.800 B.10.2, decoded step by step.
type tagTree struct {
	across, down int32
	nodes        []tagNode // leaves first
}

// tagNode knows that its value is at least low, and once found is exactly low.
type tagNode struct {
	low   int32
	found bool
}

// maxTreeDepth is enough for 2^15 × 2^15 leaves, more than a precinct has.
const maxTreeDepth = 17

func newTagTree(across, down int, nodes *arena[tagNode]) tagTree {
	t := tagTree{across: int32(across), down: int32(down)}
	count := across * down
	for across*down > 1 {
		across, down = (across+1)/2, (down+1)/2
		count += across * down
	}
	t.nodes = nodes.take(count)
	return t
}

// below reads on until it is known whether the leaf's value is below the limit.
func (t *tagTree) below(h *headerBits, leaf int, limit int32) bool {
	across, down := int(t.across), int(t.down)
	x, y := leaf%across, leaf/across
	var path [maxTreeDepth]int32
	depth, offset := 0, 0
	for {
		path[depth] = int32(offset + y*across + x)
		depth++
		if across*down <= 1 || depth == maxTreeDepth {
			break
		}
		offset += across * down
		across, down, x, y = (across+1)/2, (down+1)/2, x/2, y/2
	}
	low := int32(0)
	for i := depth - 1; i >= 0; i-- {
		node := &t.nodes[path[i]]
		node.low = max(node.low, low)
		for !node.found && node.low < limit && !h.over {
			if h.bit() == 1 {
				node.found = true
			} else {
				node.low++
			}
		}
		low = node.low
	}
	leafNode := &t.nodes[leaf]
	return leafNode.found && leafNode.low < limit
}
