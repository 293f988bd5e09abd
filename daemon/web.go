package daemon

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"time"

	"neurotriage"
	"neurotriage/config"
	"neurotriage/dicomio"
	"neurotriage/pacs/dicomweb"
)

// wellTime is how long an archive may take to say whether it is well.
const wellTime = 10 * time.Second

// web retrieves studies from DICOMweb archives.
type web struct {
	guard    *dicomweb.Guard
	archives []archive // with a login of their own
	limits   dicomio.Limits
}

// archive is one that the configuration names.
type archive struct {
	name  string
	guard dicomweb.Guard // covers what lies below its root
	login dicomweb.Options
}

// newWeb reads logins and certificates.
func newWeb(c config.DICOMweb, limits dicomio.Limits) (*web, error) {
	w := &web{guard: &dicomweb.Guard{Allow: slices.Clone(c.Allow), Networks: c.Networks}, limits: limits}
	for _, name := range slices.Sorted(maps.Keys(c.Archives)) {
		one := c.Archives[name]
		user, password, token, err := one.Login(name)
		if err != nil {
			return nil, err
		}
		secure, err := clientTLS(one.TLS.CA, one.TLS.Cert, one.TLS.Key)
		if err != nil {
			return nil, fmt.Errorf("dicomweb.archives.%s.tls: %w", name, err)
		}
		w.archives = append(w.archives, archive{
			name: name, guard: dicomweb.Guard{Allow: []string{one.URL}},
			login: dicomweb.Options{User: user, Password: password, Token: token, TLS: secure},
		})
		w.guard.Allow = append(w.guard.Allow, one.URL)
		if root, err := url.Parse(one.URL); err == nil {
			w.guard.Inside = append(w.guard.Inside, root.Hostname())
		}
	}
	return w, nil
}

// asked is what a location's URL means.
type asked struct {
	client *dicomweb.Client
	study  string
	series []string // empty: all
}

// read takes the location apart, and refuses what is not allowed before
// anything is connected to.
func (w *web) read(job neurotriage.Job) (asked, error) {
	target, err := url.Parse(job.Location.URL)
	if err != nil {
		return asked{}, neurotriage.Refuse(neurotriage.URLNotAllowed, "the url of the location is none")
	}
	if err := w.guard.Check(target); err != nil {
		return asked{}, neurotriage.Refuse(neurotriage.URLNotAllowed, "dicomweb.allow and dicomweb.archives of this daemon: %w", err)
	}
	root, study, series, err := dicomweb.Place(job.Location.URL)
	if err != nil {
		return asked{}, neurotriage.Refuse(neurotriage.URLNotAllowed, "%w", err)
	}
	if study != "" && study != job.StudyInstanceUID {
		return asked{}, neurotriage.Refuse(neurotriage.MalformedEvent, "the event is about study %s and its url about another", job.StudyInstanceUID)
	}
	a := asked{study: job.StudyInstanceUID, series: job.SeriesInstanceUIDs}
	if series != "" {
		a.series = []string{series}
	}
	options := dicomweb.Options{}
	for _, one := range w.archives {
		if one.guard.Check(target) == nil {
			options = one.login
		}
	}
	options.Root, options.Guard = root, w.guard
	a.client, err = dicomweb.New(options)
	if err != nil {
		return asked{}, neurotriage.Refuse(neurotriage.URLNotAllowed, "%w", err)
	}
	return a, nil
}

// openWeb retrieves the study into the spool and reads it there.
func (l *library) openWeb(ctx context.Context, job neurotriage.Job, options dicomio.Options) (OpenStudy, error) {
	a, err := l.web.read(job)
	if err != nil {
		return nil, err
	}
	defer a.client.Close()
	var parts []part
	file, _, err := l.spool.fill(func(sink io.Writer) (size int64, err error) {
		parts, size, err = l.web.retrieve(ctx, a, sink, l.spool.guard)
		return size, err
	})
	if err != nil {
		return nil, sortWeb(ctx, a, err)
	}
	study, err := dicomio.Open(ctx, &retrieved{file: file, parts: parts}, options)
	if err != nil {
		return nil, err
	}
	return study, nil
}

// part is an object's place in the spool file.
type part struct{ offset, size int64 }

// retrieve writes the study's objects one after the other, within the limits.
func (w *web) retrieve(ctx context.Context, a asked, sink io.Writer, guard func() error) ([]part, int64, error) {
	series := a.series
	if len(series) == 0 {
		series = []string{""}
	}
	var parts []part
	var size int64
	for _, one := range series {
		for object, err := range a.client.Retrieve(ctx, a.study, one) {
			if err == nil {
				err = guard()
			}
			if err != nil {
				return nil, 0, err
			}
			if len(parts) == w.limits.Files {
				return nil, 0, tooLarge("more than %d objects", w.limits.Files)
			}
			most := min(w.limits.FileBytes, w.limits.StudyBytes-size)
			n, err := io.Copy(sink, io.LimitReader(object, most+1))
			switch {
			case err != nil:
				return nil, 0, err
			case n > most && most < w.limits.FileBytes:
				return nil, 0, tooLarge("more than %d bytes", w.limits.StudyBytes)
			case n > most:
				return nil, 0, tooLarge("an object of more than %d bytes", w.limits.FileBytes)
			}
			parts = append(parts, part{size, n})
			size += n
		}
	}
	if len(parts) == 0 {
		return nil, 0, neurotriage.Refuse(neurotriage.StudyNotFound, "the archive has no object of study %s", a.study)
	}
	return parts, size, nil
}

func tooLarge(what string, limit any) error {
	return neurotriage.Refuse(neurotriage.TooLarge, "the study in the archive has "+what+", which is the limit", limit)
}

// sortWeb holds an error against the study only while its archive is well.
func sortWeb(ctx context.Context, a asked, err error) error {
	var status *dicomweb.StatusError
	switch {
	case refusal(err) != nil, errors.Is(err, neurotriage.ErrSurroundings), ctx.Err() != nil:
		return err
	case errors.Is(err, dicomweb.ErrNotAllowed):
		return neurotriage.Refuse(neurotriage.URLNotAllowed, "%w (dicomweb.allow, dicomweb.networks)", err)
	case errors.As(err, &status) && (status.Status == http.StatusNotFound || status.Status == http.StatusGone):
		return neurotriage.Refuse(neurotriage.StudyNotFound, "%w", err)
	}
	if _, untrusted := errors.AsType[*tls.CertificateVerificationError](err); untrusted {
		err = fmt.Errorf("%w; name its authorities in dicomweb.archives, in tls.ca of an entry for it", err)
	}
	well := func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), wellTime)
		defer cancel()
		return a.client.Well(ctx)
	}
	if unwell := well(); unwell != nil {
		return &fault{err: fmt.Errorf("retrieving study %s: %w", a.study, err), over: well}
	}
	return fmt.Errorf("retrieving study %s: %w", a.study, err)
}

// retrieved is a study in the spool, as a source of files.
type retrieved struct {
	file  *os.File
	parts []part
}

// List gives the objects in the order in which they came.
func (r *retrieved) List(context.Context) iter.Seq2[dicomio.File, error] {
	return func(yield func(dicomio.File, error) bool) {
		for i, p := range r.parts {
			file := dicomio.File{Name: fmt.Sprintf("object %06d", i+1), Size: p.size, Open: func() (io.ReadCloser, error) {
				return io.NopCloser(io.NewSectionReader(r.file, p.offset, p.size)), nil
			}}
			if !yield(file, nil) {
				return
			}
		}
	}
}

// Close frees the disk.
func (r *retrieved) Close() error { return r.file.Close() }
