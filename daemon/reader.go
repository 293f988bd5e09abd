package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"slices"
	"strings"

	"neurotriage"
	"neurotriage/dicomio"
)

// library is the daemon's Reader: it takes a study from wherever its location
// says, and tells faults of the study from faults of the place.
type library struct {
	places  []*place
	web     *web
	fetch   fetch
	most    int64 // bytes of one object
	spool   spool
	options dicomio.Options
}

// fetch copies an object to w and gives its size. An object that is not there
// is an error that wraps fs.ErrNotExist, one beyond limit a refusal.
type fetch func(ctx context.Context, bucket, name string, w io.Writer, limit int64) (int64, error)

// Open reads the headers of the job's study.
func (l *library) Open(ctx context.Context, job neurotriage.Job) (OpenStudy, error) {
	options := l.options
	options.StudyUID, options.SeriesUIDs = job.StudyInstanceUID, job.SeriesInstanceUIDs
	switch location := job.Location; location.Kind {
	case neurotriage.Directory:
		return l.openDirectory(ctx, location, options)
	case neurotriage.Object:
		return l.openObject(ctx, location, options)
	case neurotriage.DICOMweb:
		return l.openWeb(ctx, job, options)
	default:
		return nil, neurotriage.Refuse(neurotriage.MalformedEvent, "location kind %q is unknown", location.Kind)
	}
}

// openDirectory opens the root anew for every job: a handle that is kept would
// go on showing the folder under a mount point that came back.
func (l *library) openDirectory(ctx context.Context, location neurotriage.Location, options dicomio.Options) (OpenStudy, error) {
	at := slices.IndexFunc(l.places, func(p *place) bool { return p.name == location.Root })
	if at < 0 {
		return nil, fmt.Errorf("root %q is not among this daemon's (%s): %w", location.Root,
			strings.Join(names(l.places), ", "), neurotriage.ErrElsewhere)
	}
	place := l.places[at]
	// An empty root may still refuse a path that leaves it.
	if err := place.check(); err != nil && !errors.Is(err, errEmptyRoot) {
		return nil, place.fault(err)
	}
	root, err := os.OpenRoot(place.folder)
	if err != nil {
		return nil, place.fault(fmt.Errorf("opening root %q: %w", location.Root, err))
	}
	study, err := dicomio.Open(ctx, dicomio.Dir(root, location.Path), options)
	if err != nil {
		return nil, place.judge(err)
	}
	return &placed{OpenStudy: study, place: place}, nil
}

func (l *library) openObject(ctx context.Context, location neurotriage.Location, options dicomio.Options) (OpenStudy, error) {
	file, size, err := l.spool.fill(func(w io.Writer) (int64, error) {
		return l.fetch(ctx, location.Bucket, location.Name, w, l.most)
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, neurotriage.Refuse(neurotriage.StudyNotFound, "%w", err)
	}
	if err != nil {
		return nil, err
	}
	study, err := dicomio.Open(ctx, dicomio.Zip(file, size), options)
	if err != nil {
		return nil, err
	}
	return study, nil
}

func refusal(err error) *neurotriage.Refusal {
	found, _ := errors.AsType[*neurotriage.Refusal](err)
	return found
}

// placed is a study below a root, which may go away while slices are read.
type placed struct {
	OpenStudy
	place *place
}

// Slices ends with a fault of the surroundings when a slice fails because the
// root is gone.
func (p *placed) Slices(ctx context.Context) iter.Seq2[neurotriage.Slice, error] {
	return func(yield func(neurotriage.Slice, error) bool) {
		for slice, err := range p.OpenStudy.Slices(ctx) {
			if err != nil {
				err = p.place.judge(err)
			}
			if !yield(slice, err) || err != nil && refusal(err) == nil {
				return
			}
		}
	}
}
