package jpeg2000

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
)

// Every job is done once; what goes wrong in one, even a panic, is the error.
func TestTogether(t *testing.T) {
	blocks := make([]block, 1000)
	jobs := make([]job, len(blocks))
	for i := range jobs {
		jobs[i] = job{block: &blocks[i]}
	}
	if err := together(jobs, 4, func(w *workspace, j job) error {
		w.values = append(w.values, 1) // each has its own
		j.block.passes++
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for i := range blocks {
		if blocks[i].passes != 1 {
			t.Fatalf("block %d was decoded %d times", i, blocks[i].passes)
		}
	}
	for name, fail := range map[string]func() error{
		"broken": func() error { return errors.New("broken") },
		"index":  func() error { return errors.New(strings.Repeat("index", int(blocks[:0][len(blocks)-1000].passes))) },
	} {
		var count atomic.Int64
		err := together(jobs, 4, func(*workspace, job) error {
			if count.Add(1) == 10 {
				return fail()
			}
			return nil
		})
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Pieces of a codeword come together in order, whatever stood in the memory before.
func TestGather(t *testing.T) {
	body := []byte("abcdefghij")
	tile := &tile{decoder: &decoder{}, bodies: body}
	tile.space.pieces = []piece{
		{at: 0, length: 2, passes: 1, most: 10, next: 3},
		{at: 9, length: 1, passes: 1, most: 10}, // of another block
		{at: 4, length: 3, passes: 2, next: 4},
		{at: 8, length: 1, passes: 1, most: 2, next: 5},
		{at: 7, length: 0, passes: 1, next: 6},
		{at: 2, length: 1, passes: 1},
	}
	w := &workspace{joined: []byte("ab")}
	for range 2 {
		w.gather(tile, &block{first: 1, last: 6})
		if len(w.words) != 2 || string(w.words[0].data) != "abefg" || w.words[0].passes != 3 ||
			string(w.words[1].data) != "ic" || w.words[1].passes != 3 {
			t.Fatalf("words %+v", w.words)
		}
	}
	if string(body) != "abcdefghij" {
		t.Errorf("the codestream became %q", body)
	}
}
