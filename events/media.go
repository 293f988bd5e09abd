package events

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"neurotriage"
)

// Media is one object beside a finding, stored as <finding id>/<name> in the
// bucket triage_media.
type Media struct {
	Name        string
	ContentType string
	Data        []byte
	// Report names the report object that this is, for Finding.Reports; empty for
	// everything else.
	Report neurotriage.ReportRef
}

// SliceTable is the media that needs no drawing: the scores of each slice, as
// slices.json. It holds neither pixels nor the patient.
func SliceTable(r neurotriage.Reading) ([]Media, error) {
	text, err := json.Marshal(struct {
		FindingID string                      `json:"finding_id"`
		StudyUID  string                      `json:"study_instance_uid"`
		Labels    []string                    `json:"labels"`
		Series    []neurotriage.SeriesReading `json:"series"`
	}{r.Finding.ID, r.Finding.StudyInstanceUID, r.Labels, r.Series})
	if err != nil {
		return nil, fmt.Errorf("writing the slice scores: %w", err)
	}
	return []Media{{Name: "slices.json", ContentType: "application/json", Data: text}}, nil
}

// storeMedia stores an object unless it is there: what was made once is reused.
func (b *Bus) storeMedia(ctx context.Context, findingID string, one Media) error {
	name := findingID + "/" + one.Name
	return b.do(ctx, "storing "+name+" in bucket "+b.names.media(), func(ctx context.Context) error {
		store, err := b.objects(ctx, b.names.media())
		if err != nil {
			return err
		}
		if _, err := store.GetInfo(ctx, name); !errors.Is(err, jetstream.ErrObjectNotFound) {
			return err
		}
		meta := jetstream.ObjectMeta{
			Name: name, Headers: nats.Header{"Content-Type": {one.ContentType}}, Opts: &jetstream.ObjectMetaOptions{ChunkSize: b.chunk()},
		}
		_, err = store.Put(ctx, meta, breathe(bytes.NewReader(one.Data)))
		return err
	})
}

// chunk is the size of the messages that an object is cut into, in bytes. The
// server writes each to the disk before it answers, so that the usual 128 KiB
// make captures of some megabytes several times slower.
func (b *Bus) chunk() uint32 {
	const usual, most = 128 << 10, 512 << 10
	if room := b.nc.MaxPayload() / 2; room < most {
		return uint32(min(max(room, 1), usual)) //nolint:gosec // at most 128 KiB
	}
	return most
}

// Media fetches an object beside a finding; an absent one is an error that
// wraps fs.ErrNotExist.
func (b *Bus) Media(ctx context.Context, findingID, name string, w io.Writer) error {
	_, err := b.Fetch(ctx, b.names.media(), findingID+"/"+name, w, b.opts.Retention.MediaBytes)
	return err
}

// Upload stores a zip of one study for the daemon to read, and gives the
// location to announce. The daemon deletes it once the study's finding is out.
func (b *Bus) Upload(ctx context.Context, r io.Reader, name string) (neurotriage.Location, error) {
	where := neurotriage.Location{Kind: neurotriage.Object, Bucket: b.names.uploads(), Name: newID() + "/" + path.Base(name)}
	ctx, watched, stop := b.watchStall(ctx)
	defer stop()
	err := b.link.wait(ctx)
	var store jetstream.ObjectStore
	if err == nil {
		store, err = b.objects(ctx, where.Bucket)
	}
	if err == nil {
		_, err = store.Put(ctx, jetstream.ObjectMeta{Name: where.Name, Description: path.Base(name)}, breathe(full(watched.reader(r))))
	}
	if err != nil {
		return where, b.transferFailed(ctx, "uploading "+name+" to bucket "+where.Bucket, err)
	}
	return where, nil
}

// Fetch copies an object to w. An absent object or bucket is an error that wraps
// fs.ErrNotExist; one of more than limit bytes is a refusal, before it is read.
func (b *Bus) Fetch(ctx context.Context, bucket, name string, w io.Writer, limit int64) (int64, error) {
	what := fmt.Sprintf("fetching object %s of bucket %s", name, bucket)
	ctx, watched, stop := b.watchStall(ctx)
	defer stop()
	err := b.link.wait(ctx)
	var store jetstream.ObjectStore
	if err == nil {
		store, err = b.objects(ctx, bucket)
	}
	var object jetstream.ObjectResult
	if err == nil {
		object, err = store.Get(ctx, name)
	}
	switch {
	case errors.Is(err, jetstream.ErrBucketNotFound), errors.Is(err, jetstream.ErrObjectNotFound),
		errors.Is(err, jetstream.ErrInvalidStoreName), errors.Is(err, jetstream.ErrNameRequired):
		return 0, fmt.Errorf("%s: %w: %w", what, fs.ErrNotExist, err)
	case err != nil:
		return 0, b.transferFailed(ctx, what, err)
	}
	defer func() { _ = object.Close() }()
	info, err := object.Info()
	if err != nil {
		return 0, b.transferFailed(ctx, what, err)
	}
	if info.Size > uint64(max(limit, 0)) {
		return 0, neurotriage.Refuse(neurotriage.TooLarge, "%s: it has %d bytes, at most %d are taken", what, info.Size, limit)
	}
	var wrote error
	n, err := io.Copy(keepError(w, &wrote), io.LimitReader(watched.reader(object), limit+1))
	switch {
	case wrote != nil:
		return n, fmt.Errorf("%s: writing it: %w", what, wrote)
	case err != nil:
		return n, b.transferFailed(ctx, what, err)
	case n > limit:
		return n, neurotriage.Refuse(neurotriage.TooLarge, "%s: it has more bytes than it says, at most %d are taken", what, limit)
	}
	return n, nil
}

func (b *Bus) transferFailed(ctx context.Context, what string, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	return fmt.Errorf("%s: %w: %w", what, neurotriage.ErrSurroundings, err)
}

func (b *Bus) deleteUpload(ctx context.Context, name string) error {
	return b.do(ctx, "deleting upload "+name, func(ctx context.Context) error {
		store, err := b.objects(ctx, b.names.uploads())
		if err != nil {
			return err
		}
		if err := store.Delete(ctx, name); !errors.Is(err, jetstream.ErrObjectNotFound) {
			return err
		}
		return nil
	})
}

// stall ends a transfer of which no byte moves for the call timeout; a large
// one may take as long as it needs.
type stall struct {
	timer *time.Timer
	limit time.Duration
}

func (b *Bus) watchStall(ctx context.Context) (context.Context, *stall, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	s := &stall{limit: b.opts.CallTimeout}
	s.timer = time.AfterFunc(s.limit, func() { cancel(fmt.Errorf("nothing moved for %v", s.limit)) })
	return ctx, s, func() {
		s.timer.Stop()
		cancel(nil)
	}
}

func (s *stall) reader(r io.Reader) io.Reader {
	return readerFunc(func(p []byte) (int, error) {
		n, err := r.Read(p)
		if n > 0 {
			s.timer.Reset(s.limit)
		}
		return n, err
	})
}

// breathe pauses at the end of what is read. nats.go v1.55.0 starts a goroutine
// in each Put that is stuck for ever if it first runs after the Put is over,
// which small objects on a busy machine achieve.
func breathe(r io.Reader) io.Reader {
	return readerFunc(func(p []byte) (int, error) {
		n, err := r.Read(p)
		if err != nil {
			time.Sleep(time.Millisecond)
		}
		return n, err
	})
}

// full fills what it is given. Put sends one message for each read, and thousands
// of short reads, as of a pipe that a zip is written into, would outrun the server.
func full(r io.Reader) io.Reader {
	return readerFunc(func(p []byte) (int, error) {
		n, err := io.ReadFull(r, p)
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = io.EOF
		}
		return n, err
	})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// keepError tells trouble of the receiver from trouble of the sender.
func keepError(w io.Writer, into *error) io.Writer {
	return writerFunc(func(p []byte) (int, error) {
		n, err := w.Write(p)
		*into = err
		return n, err
	})
}
