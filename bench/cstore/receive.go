package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"neurotriage/pacs/dimse"
)

// receive is our receiver: it prints its address and stores what comes until it
// is told to stop.
func receive(ctx context.Context, o options) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM)
	defer stop()
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	depot := depot{folder: o.folder, sync: o.sync}
	server, err := dimse.NewServer(dimse.ServerOptions{
		SOPClasses: func(uid string) bool { return uid == mrImage }, Store: depot.store,
	})
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	<-ctx.Done()
	err = server.Shutdown(context.WithoutCancel(ctx))
	if failure := <-served; !errors.Is(failure, dimse.ErrServerClosed) {
		err = errors.Join(err, failure)
	}
	return err
}

// depot stores as a careful receiver does: under another name first, synced with
// its folder if asked for, and under its own name when whole.
type depot struct {
	folder string
	sync   bool
}

func (d depot) store(_ context.Context, r dimse.StoreRequest, data io.Reader) (dimse.Status, error) {
	final := filepath.Join(d.folder, r.SOPInstanceUID+".dcm")
	f, err := os.OpenFile(final+".part", os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return dimse.StatusOutOfResources, err
	}
	_, err = f.Write(fileHeader(r))
	if err == nil {
		_, err = io.Copy(struct{ io.Writer }{f}, data) // the reader writes itself
	}
	if err == nil && d.sync {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), final)
	}
	if err == nil && d.sync {
		err = syncFolder(d.folder)
	}
	if err != nil {
		return dimse.StatusOutOfResources, err
	}
	return dimse.StatusSuccess, nil
}

func syncFolder(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// fileHeader is preamble and file meta information (PS3.10 7.1).
func fileHeader(r dimse.StoreRequest) []byte {
	meta := appendElement(nil, 0x00020001, "OB", []byte{0, 1})
	for tag, uid := range []string{2: r.SOPClassUID, 3: r.SOPInstanceUID, 0x10: r.TransferSyntaxUID, 0x12: dimse.ImplementationClassUID} {
		if uid != "" {
			meta = appendElement(meta, 0x00020000|uint32(tag), "UI", []byte(uid))
		}
	}
	b := append(make([]byte, 128, 512), "DICM"...)
	n := len(meta)
	b = appendElement(b, 0x00020000, "UL", []byte{byte(n), byte(n >> 8), 0, 0})
	return append(b, meta...)
}
