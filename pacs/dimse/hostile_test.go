package dimse

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"
)

// session is what a peer sends in a good association: an echo, an object in two
// fragments, a report, a release.
func session() []byte {
	rq := request(func(rq *associate) {
		rq.contexts = append(rq.contexts, contextItem{id: 5, abstract: StorageCommitment, syntaxes: plainSyntaxes()})
		rq.user.async = true
		rq.user.roles = []roleItem{{StorageCommitment, false, true}}
		rq.user.identity = &identityItem{kind: identityPasscode, respond: true, primary: "alice", secondary: "s3cret"}
	})
	event := command{field: fieldEventReport, id: 3, class: StorageCommitment, instance: commitmentInstance, kind: eventWithFailed, datasetType: withDataset}
	return slices.Concat(rq, commandPDU(1, echoRQ), commandPDU(3, storeRQ), data(3, 0, pattern(300)), data(3, flagLast, pattern(200)),
		commandPDU(5, event), data(5, flagLast, appendReport(true, true, report)), releaseRQ)
}

// mutate spoils a copy of b in one to four ways.
func mutate(b []byte, r *rand.Rand) []byte {
	b = bytes.Clone(b)
	for range 1 + r.IntN(4) {
		at := r.IntN(len(b))
		switch r.IntN(8) {
		case 0: // one bit
			b[at] ^= 1 << r.IntN(8)
		case 1:
			b[at] = byte(r.Uint32())
		case 2: // a length, perhaps
			if at+4 <= len(b) {
				binary.BigEndian.PutUint32(b[at:], []uint32{0, 1, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, r.Uint32()}[r.IntN(6)])
			}
		case 3:
			if at+4 <= len(b) {
				binary.LittleEndian.PutUint32(b[at:], []uint32{0, 3, 0xFFFFFFFE, 0xFFFFFFFF, r.Uint32()}[r.IntN(5)])
			}
		case 4: // the end is missing
			b = b[:max(at, 1)]
		case 5: // something is missing
			b = slices.Delete(b, at, min(len(b), at+1+r.IntN(40)))
		case 6: // something comes twice
			b = slices.Insert(b, at, b[at:min(len(b), at+1+r.IntN(200))]...)
		case 7: // something foreign
			noise := make([]byte, 1+r.IntN(40))
			for i := range noise {
				noise[i] = byte(r.Uint32())
			}
			b = slices.Insert(b, at, noise...)
		}
		if len(b) == 0 {
			return []byte{0}
		}
	}
	return b
}

// TestMutatedAssociations: two thousand spoiled associations crash nothing, leave no
// goroutine, no file and no place behind (TestMain looks for goroutines), and
// never damage an object of an association beside them.
func TestMutatedAssociations(t *testing.T) {
	const associations, atOnce = 2000, 8
	shelf := newShelf()
	o := shelf.options(t)
	o.Logger = quiet{t}.logger()
	o.Committed = func(context.Context, Association, Commitment) error { return nil }
	o.Refused, o.Opened, o.Closed = nil, nil, nil
	o.MaxObject = 1 << 20
	address, server := serve(t, o)
	bystander := dial(t, address, nil)
	before := openFiles(t)
	good := session()
	places := make(chan struct{}, atOnce)
	for i := range associations {
		places <- struct{}{}
		go func() {
			defer func() { <-places }()
			spoil(t, address, mutate(good, rand.New(rand.NewPCG(6, uint64(i)))))
		}()
		if i%100 == 0 {
			want := pattern(50_000 + i)
			uid := fmt.Sprintf("9.%d", i)
			if err := bystander.Store(t.Context(), mr(uid, want)); err != nil {
				t.Fatal(err)
			}
			if got, _ := shelf.object(uid); !bytes.Equal(got, want) {
				t.Fatal("an object beside was damaged")
			}
		}
	}
	for range atOnce {
		places <- struct{}{}
	}
	if err := bystander.Release(t.Context()); err != nil {
		t.Error(err)
	}
	server.running.Wait()
	if left := len(server.connections); left > 0 || server.associations != 0 {
		t.Errorf("%d connections and %d places are still taken", left, server.associations)
	}
	if after := openFiles(t); after >= before {
		t.Errorf("%d files are open, and %d were with an association more", after, before)
	}
}

// spoil sends the bytes and hears whatever the server says until it closes.
func spoil(t testing.TB, address string, b []byte) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(generous))
	conn.Write(b)
	conn.(*net.TCPConn).CloseWrite()
	if _, err := io.Copy(io.Discard, conn); isTimeout(err) {
		t.Error("the server does not end an association that the peer has left")
	}
}

func openFiles(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skipf("the system does not list open files: %v", err)
	}
	return len(entries)
}

// endless is a dataset of any size that takes no memory.
type endless struct{ left int64 }

func (e *endless) Read(p []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	n := min(int64(len(p)), e.left)
	e.left -= n
	return int(n), nil
}

// TestLargeObjectsTakeLittleMemory: both ends together allocate less for 105 MB
// than the buffers of one association.
func TestLargeObjectsTakeLittleMemory(t *testing.T) {
	const size = 105_000_000
	shelf := newShelf()
	o := shelf.options(t)
	got := make(chan int64, 1)
	o.Store = func(_ context.Context, _ StoreRequest, data io.Reader) (Status, error) {
		n, err := io.Copy(struct{ io.Writer }{io.Discard}, data)
		got <- n
		return StatusSuccess, err
	}
	address, _ := serve(t, o)
	c := dial(t, address, nil)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	object := mr("1.2.3", nil)
	object.Data = &endless{size}
	if err := c.Store(t.Context(), object); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if n := <-got; n != size {
		t.Errorf("%d bytes arrived", n)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 1<<20 {
		t.Errorf("%d bytes were allocated, want less than 1 MiB", used)
	}
}

// TestClaimsTakeNoMemory: a peer that announces much and sends little costs little.
func TestClaimsTakeNoMemory(t *testing.T) {
	shelf := newShelf()
	o := shelf.options(t)
	address, _ := serve(t, o)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 100 {
		r := dialRaw(t, address)
		r.say([]byte{pduAssociateRQ, 0, 0, 3, 0xFF, 0xFF, 0, 1})
		r.conn.Close()
		shelf.waitRefused(t)
	}
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 4<<20 {
		t.Errorf("%d bytes were allocated for 100 claims of 256 KiB", used)
	}
}

// TestAllocationsOfAnObject bounds what an object costs both ends beside the
// buffers that associations hold.
func TestAllocationsOfAnObject(t *testing.T) {
	shelf := newShelf()
	o := shelf.options(t)
	o.Store = func(_ context.Context, _ StoreRequest, data io.Reader) (Status, error) {
		_, err := data.(io.WriterTo).WriteTo(io.Discard)
		return StatusSuccess, err
	}
	address, _ := serve(t, o)
	c := dial(t, address, nil)
	content := pattern(170_000)
	var reader bytes.Reader
	ctx := context.Background() // one that does not end needs no goroutine to watch it
	allocations := testing.AllocsPerRun(50, func() {
		reader.Reset(content)
		object := mr("1.2.3", nil)
		object.Data = &reader
		if err := c.Store(ctx, object); err != nil {
			t.Error(err)
		}
	})
	if allocations > 16 {
		t.Errorf("%v allocations for an object", allocations)
	}
	t.Logf("%v allocations for an object", allocations)
}

// TestASenderThatVanishes leaves nothing behind that looks like an object.
func TestASenderThatVanishes(t *testing.T) {
	shelf := newShelf()
	address, _ := serve(t, shelf.options(t))
	r := dialRaw(t, address)
	r.say(request(nil))
	r.hear()
	r.say(slices.Concat(commandPDU(3, storeRQ), data(3, 0, pattern(1000))))
	r.conn.Close()
	if end := shelf.waitClosed(t); end.How != Lost || end.Objects+end.Failed != 0 || !errors.Is(end.Err, io.ErrUnexpectedEOF) {
		t.Errorf("ended as %+v", end)
	}
	if len(shelf.objects) > 0 {
		t.Error("half an object was kept")
	}
}
