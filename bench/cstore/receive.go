package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/signal"
	"syscall"
	"time"

	"neurotriage"
	"neurotriage/dicomio"
	"neurotriage/pacs"
	"neurotriage/pacs/dimse"
)

// receive is our receiver, the daemon's own with its depot: it prints its address
// and stores what comes until it is told to stop. Nothing is announced, since no
// study is quiet for long enough.
func receive(ctx context.Context, o options) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM)
	defer stop()
	isMR := func(uid string) bool { return uid == mrImage }
	depot, err := pacs.OpenDepot(pacs.DepotOptions{
		Dir: o.folder, Root: "received", Sync: o.sync, Limits: dicomio.DefaultLimits(), Classes: isMR,
		MinFree: 1 << 30, MaxBytes: 1 << 40, Keep: time.Hour,
		Waiting: map[string]pacs.Waiting{pacs.OtherSources: {Quiet: time.Hour}}, Office: office{},
	})
	if err != nil {
		return err
	}
	defer depot.Close()
	receiver, err := pacs.NewReceiver(pacs.ReceiverOptions{Depot: depot, Classes: isMR})
	if err != nil {
		return err
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	served := make(chan error, 1)
	go func() { served <- receiver.Serve(l) }()
	<-ctx.Done()
	err = receiver.Shutdown(context.WithoutCancel(ctx))
	if failure := <-served; !errors.Is(failure, dimse.ErrServerClosed) {
		err = errors.Join(err, failure)
	}
	return err
}

// office is nobody to announce to.
type office struct{}

func (office) Announce(_ context.Context, job neurotriage.Job) (neurotriage.Job, error) {
	return job, nil
}

func (office) Settled(context.Context, neurotriage.Job) (bool, error) { return false, nil }
