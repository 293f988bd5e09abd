package jpeg2000

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// Progression orders (T.800 table A.16). With one component, orders by component
// and by position agree.
const (
	orderLayers = iota
	orderResolutions
	orderResolutionPositions
	orderPositions
	orderComponents
)

// change is a stretch of packets in one order (T.800 A.6.6): of the resolutions
// first to end, the layers below end that did not come yet.
type change struct{ order, first, end, layers int }

// maxChanges is more than there are ways to cut 33 resolutions sensibly.
const maxChanges = 64

// changesOf reads POC.
func changesOf(body []byte) ([]change, error) {
	var all []change
	for ; len(body) >= 7; body = body[7:] {
		c := change{order: int(body[6]), first: int(body[0]), end: int(body[4]), layers: be16(body[2:])}
		if c.order > orderComponents || c.end <= c.first || len(all) == maxChanges {
			return nil, fmt.Errorf("jpeg 2000 progression %d of resolutions %d to %d", c.order, c.first, c.end)
		}
		if body[1] == 0 { // of component 0: there is no other
			all = append(all, c)
		}
	}
	if len(body) > 0 || len(all) == 0 {
		return nil, errors.New("the jpeg 2000 progression changes are cut off")
	}
	return all, nil
}

// walk visits packets in the codestream's order.
type walk struct {
	tile   *tile
	sorted []*precinct // by position, once a progression asks for it
	read   func(*precinct) error
}

// packets visits every packet of the tile (T.800 B.12).
func (t *tile) packets(read func(*precinct) error) error {
	changes := t.changes
	if changes == nil {
		changes = []change{{order: t.style.progression, end: t.style.levels + 1, layers: t.style.layers}}
	}
	w := &walk{tile: t, read: read}
	for _, c := range changes {
		c.end, c.layers = min(c.end, len(t.resolutions)), min(c.layers, t.style.layers)
		if c.first >= c.end {
			continue
		}
		if err := w.follow(c); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) follow(c change) error {
	resolutions := w.tile.resolutions[c.first:c.end]
	switch c.order {
	case orderLayers:
		for layer := range c.layers {
			for i := range resolutions {
				if err := w.layer(&resolutions[i], layer); err != nil {
					return err
				}
			}
		}
	case orderResolutions:
		for i := range resolutions {
			for layer := range c.layers {
				if err := w.layer(&resolutions[i], layer); err != nil {
					return err
				}
			}
		}
	case orderResolutionPositions:
		for i := range resolutions {
			for j := range resolutions[i].precincts {
				if err := w.all(&resolutions[i].precincts[j], c.layers); err != nil {
					return err
				}
			}
		}
	default:
		for _, p := range w.byPosition() {
			if int(p.level) < c.first || int(p.level) >= c.end {
				continue
			}
			if err := w.all(p, c.layers); err != nil {
				return err
			}
		}
	}
	return nil
}

// layer visits one layer of a resolution's precincts. What an earlier stretch
// brought is passed over.
func (w *walk) layer(r *resolution, layer int) error {
	if err := spend(&w.tile.budget.packets, len(r.precincts), "packets"); err != nil {
		return err
	}
	for i := range r.precincts {
		if p := &r.precincts[i]; int(p.layer) == layer {
			if err := w.read(p); err != nil {
				return err
			}
		}
	}
	return nil
}

// all visits the layers of a precinct that are still to come.
func (w *walk) all(p *precinct, layers int) error {
	if err := spend(&w.tile.budget.packets, 1+max(0, layers-int(p.layer)), "packets"); err != nil {
		return err
	}
	for int(p.layer) < layers {
		if err := w.read(p); err != nil {
			return err
		}
	}
	return nil
}

// byPosition orders precincts as T.800 B.12.1.4 does.
func (w *walk) byPosition() []*precinct {
	if w.sorted == nil {
		for i := range w.tile.resolutions {
			for j := range w.tile.resolutions[i].precincts {
				w.sorted = append(w.sorted, &w.tile.resolutions[i].precincts[j])
			}
		}
		slices.SortFunc(w.sorted, func(a, b *precinct) int {
			return cmp.Or(cmp.Compare(a.y, b.y), cmp.Compare(a.x, b.x), cmp.Compare(a.level, b.level), cmp.Compare(a.index, b.index))
		})
	}
	return w.sorted
}
