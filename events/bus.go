package events

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nats.go/micro"

	"neurotriage"
)

// Bus is one connection to NATS. Clients connect, use it and close it; a daemon
// also calls Prepare once and then Start. Its methods may be called from
// several goroutines.
type Bus struct {
	opts    Options
	names   names
	log     *slog.Logger
	nc      *nats.Conn
	js      jetstream.JetStream
	metrics *metrics
	link    *link
	denied  *denials
	holds   *holds
	queue   queue

	mu       sync.Mutex
	consumer jetstream.Consumer // nil until known, and again after it was lost
	service  micro.Service
	depth    int   // messages in the work queue, as of the last scan
	lastErr  error // of the background work; nil when its last round went well

	ctx   context.Context //nolint:containedctx // ends the background work, not a call
	end   context.CancelFunc
	tasks sync.WaitGroup

	streams sync.Map // name to jetstream.Stream
	buckets sync.Map // name to jetstream.KeyValue or jetstream.ObjectStore

	step func(name string) error // test hook before each stored thing; nil in production
}

// Connect connects and checks that JetStream is there. It fails at once when no
// server answers; after that the connection heals on its own, without limit.
func Connect(ctx context.Context, opts Options) (*Bus, error) {
	opts = opts.withDefaults()
	if err := opts.check(); err != nil {
		return nil, err
	}
	metrics, err := newMetrics(opts.Registerer)
	if err != nil {
		return nil, err
	}
	b := &Bus{
		opts: opts, names: names{opts.Prefix}, log: opts.Logger.With("component", "events"),
		metrics: metrics, link: newLink(), denied: newDenials(), holds: newHolds(),
	}
	b.ctx, b.end = context.WithCancel(context.WithoutCancel(ctx))
	if err := b.dial(); err != nil {
		b.end()
		metrics.unregister()
		return nil, err
	}
	if err := b.checkJetStream(ctx); err != nil {
		b.Close()
		return nil, err
	}
	return b, nil
}

func (b *Bus) dial() error {
	options, err := b.dialOptions()
	if err != nil {
		return err
	}
	b.nc, err = nats.Connect(b.opts.URL, options...)
	if err != nil {
		return fmt.Errorf("connecting to nats at %s: %w: %w; check nats.url, that the server runs, "+
			"and the credentials", b.address(), neurotriage.ErrSurroundings, err)
	}
	b.link.up()
	b.js, err = jetstream.New(b.nc)
	return err
}

func (b *Bus) dialOptions() ([]nats.Option, error) {
	o := b.opts
	options := []nats.Option{
		nats.Name("neurotriage " + o.Instance), nats.MaxReconnects(-1), nats.RetryOnFailedConnect(false),
		nats.Timeout(o.CallTimeout), nats.ReconnectWait(time.Second), nats.ReconnectJitter(200*time.Millisecond, time.Second),
		// What was reported as failed must not happen later: nothing is buffered while the link is down.
		nats.ReconnectBufSize(-1),
		nats.PingInterval(10 * time.Second), nats.MaxPingsOutstanding(2),
		nats.DisconnectErrHandler(b.onDown), nats.ReconnectHandler(b.onUp), nats.ErrorHandler(b.onError),
	}
	if o.Server != nil {
		options = append(options, nats.InProcessServer(o.Server.nats))
	}
	if o.Creds != "" {
		options = append(options, nats.UserCredentials(o.Creds))
	}
	if o.NKey != "" {
		seed, err := nats.NkeyOptionFromSeed(o.NKey)
		if err != nil {
			return nil, fmt.Errorf("reading the nkey seed %s: %w", o.NKey, err)
		}
		options = append(options, seed)
	}
	if o.User != "" {
		options = append(options, nats.UserInfo(o.User, o.Password))
	}
	if o.Token != "" {
		options = append(options, nats.Token(o.Token))
	}
	if o.CA != "" {
		options = append(options, nats.RootCAs(o.CA))
	}
	if o.Cert != "" {
		options = append(options, nats.ClientCert(o.Cert, o.Key))
	}
	return options, nil
}

// address is the server's, without the password that a URL may hold.
func (b *Bus) address() string {
	if b.opts.Server != nil {
		return "the embedded server"
	}
	var shown []string
	for one := range strings.SplitSeq(b.opts.URL, ",") {
		if parsed, err := url.Parse(strings.TrimSpace(one)); err == nil && parsed.User != nil {
			one = parsed.Redacted()
		}
		shown = append(shown, one)
	}
	return strings.Join(shown, ",")
}

func (b *Bus) checkJetStream(ctx context.Context) error {
	return b.strictly(ctx, "asking for jetstream", func(ctx context.Context) error {
		_, err := b.js.AccountInfo(ctx)
		if errors.Is(err, jetstream.ErrJetStreamNotEnabled) || errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount) {
			return fmt.Errorf("the nats server at %s has no jetstream for this account: enable it there "+
				"(jetstream {} in its configuration), or leave nats.url empty for the embedded server: %w", b.address(), err)
		}
		return err
	})
}

func (b *Bus) onDown(_ *nats.Conn, err error) {
	if b.ctx.Err() != nil {
		return // closing
	}
	if b.link.down() {
		b.metrics.connected.Set(0)
		b.log.Warn("the connection to nats is lost; trying again until it is back", "server", b.address(), "error", err)
	}
}

func (b *Bus) onUp(*nats.Conn) {
	lasted := b.link.up()
	b.metrics.connected.Set(1)
	b.metrics.reconnects.Inc()
	b.log.Info("the connection to nats is back", "server", b.address(), "outage", lasted.Round(time.Millisecond))
}

func (b *Bus) onError(_ *nats.Conn, _ *nats.Subscription, err error) {
	if denied := parseDenied(err); denied != nil {
		if b.denied.add(denied) {
			b.log.Error("nats denies a permission", "operation", denied.Operation, "subject", denied.Subject)
		}
		return
	}
	b.log.Warn("nats reports an error", "error", err)
}

// do runs one exchange with the server within the call timeout. fn deals with
// answers that are no trouble; what it returns is a fault of the surroundings.
func (b *Bus) do(ctx context.Context, what string, fn func(context.Context) error) error {
	call, cancel := context.WithTimeout(ctx, b.opts.CallTimeout)
	defer cancel()
	seen := b.denied.count()
	err := b.link.wait(call)
	if err == nil {
		err = fn(call)
	}
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", what, context.Cause(ctx))
	}
	if denied := b.denied.since(seen, ""); denied != nil {
		return fmt.Errorf("%s: %w: %w (%w)", what, neurotriage.ErrSurroundings, denied, err)
	}
	return fmt.Errorf("%s: %w: %w", what, neurotriage.ErrSurroundings, err)
}

// strictly is do for the start, when calls run one after the other: a denied
// permission ends the call at once instead of by its timeout.
func (b *Bus) strictly(ctx context.Context, what string, fn func(context.Context) error) error {
	return b.do(ctx, what, func(ctx context.Context) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer b.denied.onNext(cancel)()
		return fn(ctx)
	})
}

// publish stores one message and counts how long it took.
func (b *Bus) publish(ctx context.Context, kind string, msg *nats.Msg, opts ...jetstream.PublishOpt) (fresh bool, err error) {
	if limit := b.nc.MaxPayload(); int64(len(msg.Data)) > limit && limit > 0 {
		return false, fmt.Errorf("publishing %s on %s: it has %d bytes and the server takes %d at most", kind, msg.Subject, len(msg.Data), limit)
	}
	begin := time.Now()
	err = b.do(ctx, "publishing "+kind+" on "+msg.Subject, func(ctx context.Context) error {
		ack, err := b.js.PublishMsg(ctx, msg, opts...)
		if expectationFailed(err) {
			return nil
		}
		fresh = err == nil && !ack.Duplicate
		return err
	})
	b.metrics.publish.WithLabelValues(kind).Observe(time.Since(begin).Seconds())
	return fresh, err
}

// expectationFailed tells that something is stored already. Replicated streams
// answer with a code of their own.
func expectationFailed(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && (api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence ||
		api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}

func (b *Bus) at(step string) error {
	if b.step == nil {
		return nil
	}
	return b.step(step)
}

// spawn runs fn until Close waits for it; after Close it does not run.
func (b *Bus) spawn(fn func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ctx.Err() == nil {
		b.tasks.Go(fn)
	}
}

// Close ends the background work and the connection; jobs that are not settled
// come again after AckWait. It may be called twice.
func (b *Bus) Close() {
	b.mu.Lock()
	b.end()
	service := b.service
	b.service = nil
	b.mu.Unlock()
	if service != nil {
		_ = service.Stop() // the connection goes with it
	}
	b.holds.dropAll()
	b.tasks.Wait()
	if b.nc != nil {
		b.nc.Close()
	}
	b.metrics.unregister()
}
