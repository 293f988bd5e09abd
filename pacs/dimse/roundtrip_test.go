package dimse

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/iotest"
)

// TestObjectsArriveAsSent covers the borders of fragments, PDUs and buffers.
func TestObjectsArriveAsSent(t *testing.T) {
	sizes := []int{2, 4, 100, 4082, 4084, 4086, 65530, 131064, 131066, 131068, 170_000, 2*131066 - 2, 2 * 131066, 1 << 20, 3<<20 + 2}
	for _, limits := range []struct{ server, client int }{{0, 0}, {4096, 0}, {0, 4096}, {16384, 32768}, {1 << 20, 1 << 20}} {
		t.Run(fmt.Sprintf("PDUs of %d and %d", limits.server, limits.client), func(t *testing.T) {
			shelf := newShelf()
			o := shelf.options(t)
			o.MaxPDU = limits.server
			address, _ := serve(t, o)
			c := dial(t, address, func(o *ClientOptions) { o.MaxPDU = limits.client })
			for i, size := range sizes {
				uid := fmt.Sprintf("1.2.%d", i)
				want := pattern(size)
				if err := c.Store(t.Context(), mr(uid, want)); err != nil {
					t.Fatalf("object of %d bytes: %v", size, err)
				}
				if got, ok := shelf.object(uid); !ok || !bytes.Equal(got, want) {
					t.Fatalf("object of %d bytes arrived as %d other ones", size, len(got))
				}
			}
			if err := c.Echo(t.Context()); err != nil {
				t.Error(err)
			}
			if err := c.Release(t.Context()); err != nil {
				t.Error(err)
			}
			end := shelf.waitClosed(t)
			if end.How != Released || end.Err != nil || end.Objects != len(sizes) || end.Failed != 0 {
				t.Errorf("the association ended as %+v", end)
			}
		})
	}
}

// TestCalleesReadAsTheyLike: in steps of any size, a part or nothing at all; what
// they leave is dropped, and the next object is whole.
func TestCalleesReadAsTheyLike(t *testing.T) {
	want := pattern(300_001 &^ 1)
	whole := func(r io.Reader) ([]byte, error) { return io.ReadAll(r) }
	cases := []struct {
		name string
		read func(io.Reader) ([]byte, error)
		left int // bytes that are not read
	}{
		{"byte by byte", func(r io.Reader) ([]byte, error) { return io.ReadAll(iotest.OneByteReader(r)) }, 0},
		{"in odd steps", func(r io.Reader) ([]byte, error) {
			var b bytes.Buffer
			_, err := io.CopyBuffer(struct{ io.Writer }{&b}, struct{ io.Reader }{r}, make([]byte, 4099))
			return b.Bytes(), err
		}, 0},
		{"in large steps", func(r io.Reader) ([]byte, error) {
			b := make([]byte, len(want))
			_, err := io.ReadFull(r, b)
			return b, err
		}, 0},
		{"a head and then the rest", func(r io.Reader) ([]byte, error) {
			head := make([]byte, 1001)
			if _, err := io.ReadFull(r, head); err != nil {
				return nil, err
			}
			var b bytes.Buffer
			_, err := b.ReadFrom(r)
			return append(head, b.Bytes()...), err
		}, 0},
		{"a head only", func(r io.Reader) ([]byte, error) { return io.ReadAll(io.LimitReader(r, 1000)) }, len(want) - 1000},
		{"nothing", func(io.Reader) ([]byte, error) { return nil, nil }, len(want)},
		{"all of it again and again", func(r io.Reader) ([]byte, error) {
			b, err := whole(r)
			if n, again := r.Read(make([]byte, 1)); n != 0 || again != io.EOF {
				return nil, fmt.Errorf("%d bytes and %w behind the end", n, again)
			}
			return b, err
		}, 0},
	}
	shelf := newShelf()
	o := shelf.options(t)
	var read func(io.Reader) ([]byte, error)
	got := make(chan []byte, 1)
	o.Store = func(_ context.Context, _ StoreRequest, data io.Reader) (Status, error) {
		b, err := read(data)
		got <- b
		return StatusSuccess, err
	}
	address, _ := serve(t, o)
	c := dial(t, address, nil)
	for i, each := range cases {
		read = each.read
		if err := c.Store(t.Context(), mr(fmt.Sprintf("1.2.%d", i), want)); err != nil {
			t.Fatalf("%s: %v", each.name, err)
		}
		if b := <-got; !bytes.Equal(b, want[:len(want)-each.left]) {
			t.Errorf("%s: %d bytes that differ", each.name, len(b))
		}
	}
}

// TestStatusReachesTheSender: what the callee decides is what the sender hears.
func TestStatusReachesTheSender(t *testing.T) {
	fault := errors.New("disk is full")
	cases := []struct {
		status Status
		err    error
		want   Status
	}{
		{StatusSuccess, nil, StatusSuccess},
		{StatusCoerced, nil, StatusSuccess},
		{StatusSuccess, fault, StatusProcessingFailure},
		{StatusOutOfResources, fault, StatusOutOfResources},
		{StatusDataSetMismatch, nil, StatusDataSetMismatch},
		{StatusDuplicate, nil, StatusDuplicate},
	}
	shelf := newShelf()
	o := shelf.options(t)
	answers := make(chan int, 1)
	o.Store = func(context.Context, StoreRequest, io.Reader) (Status, error) {
		c := cases[<-answers]
		return c.status, c.err
	}
	address, _ := serve(t, o)
	c := dial(t, address, nil)
	for i, each := range cases {
		answers <- i
		err := c.Store(t.Context(), mr("1.2.3", pattern(1000)))
		failure, failed := errors.AsType[*StatusError](err)
		switch {
		case each.want == StatusSuccess && err != nil, each.want != StatusSuccess && !failed:
			t.Errorf("%s with error %v: the sender hears %v", each.status, each.err, err)
		case failed && (failure.Status != each.want || strings.TrimSpace(failure.Comment) != each.want.words()):
			t.Errorf("%s with error %v: the sender hears %v, want %s", each.status, each.err, failure, each.want)
		}
	}
}

// TestTooLargeObjects are refused while the association goes on, up to a size that
// nobody sends by mistake.
func TestTooLargeObjects(t *testing.T) {
	shelf := newShelf()
	o := shelf.options(t)
	o.MaxObject = 100_000
	seen := make(chan error, 8)
	o.Store = func(ctx context.Context, r StoreRequest, data io.Reader) (Status, error) {
		status, err := shelf.store(ctx, r, data)
		seen <- err
		return status, err
	}
	address, _ := serve(t, o)
	c := dial(t, address, nil)
	for _, each := range []struct {
		size int
		want error // of the callee
	}{{100_000, nil}, {100_002, ErrObjectTooLarge}, {399_000, ErrObjectTooLarge}, {99_998, nil}} {
		err := c.Store(t.Context(), mr(fmt.Sprintf("1.%d", each.size), pattern(each.size)))
		if got := <-seen; !errors.Is(got, each.want) {
			t.Errorf("object of %d bytes: the callee sees %v", each.size, got)
		}
		failure, failed := errors.AsType[*StatusError](err)
		if failed != (each.want != nil) || failed && failure.Status != StatusOutOfResources {
			t.Errorf("object of %d bytes: the sender hears %v", each.size, err)
		}
	}
	err := c.Store(t.Context(), mr("1.4", pattern(1<<20)))
	if _, ok := errors.AsType[*StatusError](err); ok || err == nil {
		t.Errorf("object of ten times the limit: the sender hears %v, want an abort", err)
	}
	if end := shelf.waitClosed(t); end.How != Violated || end.Objects != 2 || end.Failed != 2 {
		t.Errorf("ended as %+v", end)
	}
}

// TestABrokenSourceEndsTheAssociation: half an object is never left as a whole one.
func TestABrokenSourceEndsTheAssociation(t *testing.T) {
	shelf := newShelf()
	address, _ := serve(t, shelf.options(t))
	c := dial(t, address, nil)
	fault := errors.New("file is gone")
	object := mr("1.2.3", nil)
	object.Data = io.MultiReader(bytes.NewReader(pattern(400_000)), iotest.ErrReader(fault))
	if err := c.Store(t.Context(), object); !errors.Is(err, fault) {
		t.Errorf("the sender hears %v, want the source's error", err)
	}
	if end := shelf.waitClosed(t); end.How != Aborted || end.Objects != 0 {
		t.Errorf("ended as %+v", end)
	}
	if _, ok := shelf.object("1.2.3"); ok {
		t.Error("half an object was kept")
	}
	if err := c.Echo(t.Context()); !errors.Is(err, fault) {
		t.Errorf("using it further gives %v", err)
	}
}

// TestAPanicOfTheCalleeEndsOneAssociation only.
func TestAPanicOfTheCalleeEndsOneAssociation(t *testing.T) {
	shelf := newShelf()
	o := shelf.options(t)
	o.Logger = slog.New(slog.DiscardHandler)
	o.Store = func(ctx context.Context, r StoreRequest, data io.Reader) (Status, error) {
		if r.SOPInstanceUID == "1.13" {
			panic("index out of range")
		}
		return shelf.store(ctx, r, data)
	}
	address, _ := serve(t, o)
	bystander, victim := dial(t, address, nil), dial(t, address, nil)
	if err := victim.Store(t.Context(), mr("1.13", pattern(10))); !errors.As(err, new(Abort)) {
		t.Errorf("the sender hears %v, want an abort", err)
	}
	if end := shelf.waitClosed(t); end.How != Crashed {
		t.Errorf("ended as %+v", end)
	}
	if err := bystander.Store(t.Context(), mr("1.2", pattern(10))); err != nil {
		t.Error(err)
	}
}
