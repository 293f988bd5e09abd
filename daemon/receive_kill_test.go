package daemon_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"neurotriage"
	"neurotriage/internal/kit"
	"neurotriage/pacs/dimse"
)

func (p *process) associate(t *testing.T) *dimse.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	conn, err := dimse.Dial(ctx, dimse.ClientOptions{
		Address: p.address.DICOM, Calling: "MRI1", Called: "NEUROTRIAGE", Propose: []dimse.Proposal{{SOPClass: mrImage}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// kill ends the child as a power failure would, and waits until it is gone.
func (p *process) kill(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = p.cmd.Wait() // says that it was killed
}

// A study of which half has come when the daemon is killed is read once, whole.
func TestKilledWhileAStudyComesIn(t *testing.T) {
	h := newHouse(t)
	child := startChild(t, h, "")
	files := headStudy("halved", 6, true).Files()
	conn := child.associate(t)
	for _, file := range files[:3] {
		if err := conn.Store(t.Context(), object(file)); err != nil {
			t.Fatal(err)
		}
	}
	child.kill(t)
	conn.Abort()

	child = startChild(t, h, "")
	conn = child.associate(t)
	for _, file := range files[3:] {
		if err := conn.Store(t.Context(), object(file)); err != nil {
			t.Fatal(err)
		}
	}
	if err := conn.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := connect(t, child.address.NATS)
	f := c.finding(kit.UID("halved"), "")
	if f.Disposition != neurotriage.GliomaReview || f.Series[0].Slices != 6 {
		t.Errorf("finding %+v", f)
	}
	if n := len(c.findingsOf(kit.UID("halved"))); n != 1 {
		t.Errorf("%d findings", n)
	}
}

// What was answered with success is there after a kill, whole; what was not
// answered is there whole or not at all.
func TestKilledWhileStoring(t *testing.T) {
	for _, after := range []int{1, 7, 23} {
		t.Run(fmt.Sprintf("after %d objects", after), func(t *testing.T) {
			h := newHouse(t)
			child := startChild(t, h, "")
			kept, once := make(chan string, 200), sync.Once{}
			var senders sync.WaitGroup
			// All associate before one sends: a kill after one object comes at once.
			conns := []*dimse.Conn{child.associate(t), child.associate(t), child.associate(t), child.associate(t)}
			for i, conn := range conns {
				senders.Go(func() {
					defer conn.Abort()
					for _, file := range headStudy(fmt.Sprintf("stored-%d", i), 40, false).Files() {
						if err := conn.Store(t.Context(), object(file)); err != nil {
							return // the daemon is gone
						}
						kept <- fmt.Sprint(file.Element(0x00080018).Value)
						if len(kept) >= after {
							once.Do(func() { _ = child.cmd.Process.Signal(syscall.SIGKILL) })
						}
					}
				})
			}
			senders.Wait()
			_ = child.cmd.Wait()
			close(kept)

			child = startChild(t, h, "")
			there := map[string]bool{}
			received := filepath.Join(h.cfg.StateDir, "received")
			err := filepath.WalkDir(received, func(path string, entry fs.DirEntry, err error) error {
				if err == nil && strings.HasSuffix(path, ".dcm") {
					there[strings.TrimSuffix(entry.Name(), ".dcm")] = true
					if info, err := entry.Info(); err != nil || info.Size() < 64*64*2 {
						return errors.Join(err, fmt.Errorf("%s is torn", path))
					}
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			count := 0
			for uid := range kept {
				if count++; !there[uid] {
					t.Errorf("object %s was answered with success and is lost", uid)
				}
			}
			if left, err := os.ReadDir(filepath.Join(received, ".incoming")); err != nil || len(left) > 0 {
				t.Errorf("%d torn objects were left, %v", len(left), err)
			}
			if count < after {
				t.Errorf("%d objects were kept before the kill, want at least %d", count, after)
			}
		})
	}
}
