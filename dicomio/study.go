package dicomio

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"neurotriage"
)

// Options say what to read and how far to go.
type Options struct {
	Limits      Limits                  // zero fields take DefaultLimits
	IntendedUse neurotriage.IntendedUse // empty: T1 of the brain, with contrast or without
	StudyUID    string                  // empty: whichever study is there, if it is only one
	SeriesUIDs  []string                // empty: every series
	OwnDevices  []string                // device UIDs of this program, whose objects are passed over
	Parallel    int                     // goroutines that read and decode; 0: one a core
}

// Skipped counts the files of a source that belong to no study.
type Skipped struct {
	NotDICOM int // no DICOM file
	Other    int // DICOM without a study UID, such as a DICOMDIR
	Own      int // reports of this program
}

// Study is one study whose headers are read and whose pixels are not. It
// satisfies the daemon's OpenStudy.
type Study struct {
	study     neurotriage.Study
	plan      [][]*instance // behind study.Series[i].Slices[j]
	refusal   *neurotriage.Refusal
	described bool // study speaks of one patient
	options   Options
	lease     *lease
	buffers   sync.Pool
	closed    atomic.Bool
}

// Study gives the headers; the value is the same at every call.
func (s *Study) Study() neurotriage.Study { return s.study }

// Refusal says why nothing of the study can be read, or nil. Studies that Open
// returns have none.
func (s *Study) Refusal() *neurotriage.Refusal { return s.refusal }

// Close releases the source's files; it may be called twice.
func (s *Study) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	return s.lease.release()
}

// lease closes a source with the last of the studies made from it.
type lease struct {
	source Source
	left   atomic.Int64
}

func (l *lease) release() error {
	if l.left.Add(-1) > 0 {
		return nil
	}
	return l.source.Close()
}

// Open reads the headers of exactly one study. Its errors are refusals, wrap
// neurotriage.ErrSurroundings, or are plain errors that a retry may cure.
func Open(ctx context.Context, source Source, options Options) (*Study, error) {
	studies, skipped, err := Scan(ctx, source, options)
	if err != nil {
		return nil, err
	}
	s, err := only(studies, skipped, options.StudyUID)
	for _, other := range studies {
		if other != s {
			err = errors.Join(err, other.Close())
		}
	}
	if err != nil {
		return nil, err
	}
	if s.refusal != nil {
		refusal := *s.refusal
		if s.described {
			refusal.Study = &s.study
		}
		return nil, errors.Join(&refusal, s.Close())
	}
	return s, nil
}

// only picks the study that was asked for.
func only(studies []*Study, skipped Skipped, uid string) (*Study, error) {
	switch {
	case len(studies) == 0 && skipped.Own > 0:
		return nil, neurotriage.Refuse(neurotriage.StudyNotFound, "open study: nothing but %d reports of this program lies here", skipped.Own)
	case len(studies) == 0 && skipped.Other == 0:
		return nil, neurotriage.Refuse(neurotriage.NotDICOM, "open study: none of %d files is DICOM", skipped.NotDICOM)
	case len(studies) == 0:
		return nil, neurotriage.Refuse(neurotriage.CorruptDICOM, "open study: none of %d DICOM files names its study", skipped.Other)
	case uid == "" && len(studies) == 1:
		return studies[0], nil
	case uid == "":
		return nil, neurotriage.Refuse(neurotriage.InconsistentStudy, "open study: %d studies lie here, one was expected", len(studies))
	}
	for _, s := range studies {
		if s.study.UID == uid {
			return s, nil
		}
	}
	return nil, neurotriage.Refuse(neurotriage.StudyNotFound, "open study: %d other studies lie here, %s does not", len(studies), uid)
}

// Scan reads the headers of every study in source, sorted by study UID. A study
// of which nothing can be read says so by its Refusal; the others are not touched
// by that. Files that are not DICOM are skipped and counted.
func Scan(ctx context.Context, source Source, options Options) ([]*Study, Skipped, error) {
	options.Limits = options.Limits.orDefault()
	studies, skipped, err := scan(ctx, source, options)
	if err != nil || len(studies) == 0 {
		return nil, skipped, errors.Join(err, source.Close())
	}
	shared := &lease{source: source}
	shared.left.Store(int64(len(studies)))
	for _, s := range studies {
		s.lease = shared
	}
	return studies, skipped, nil
}

func scan(ctx context.Context, source Source, options Options) ([]*Study, Skipped, error) {
	files, err := list(ctx, source, options.Limits)
	if err != nil {
		return nil, Skipped{}, err
	}
	found, skipped, err := headers(ctx, files, options)
	if err != nil {
		return nil, skipped, err
	}
	var studies []*Study
	for _, instances := range groupBy(found, func(i *instance) string { return i.studyUID }) {
		s, err := assemble(ctx, instances, skipped, options)
		if err != nil {
			return nil, skipped, err
		}
		studies = append(studies, s)
	}
	slices.SortFunc(studies, func(a, b *Study) int { return strings.Compare(a.study.UID, b.study.UID) })
	return studies, skipped, nil
}

// list collects the files of a source within the limits.
func list(ctx context.Context, source Source, limits Limits) ([]File, error) {
	var files []File
	for file, err := range source.List(ctx) {
		if err != nil {
			return nil, err
		}
		if len(files) == limits.Files {
			return nil, neurotriage.Refuse(neurotriage.TooLarge, "list files: more than %d", limits.Files)
		}
		files = append(files, file)
	}
	return files, nil
}

// headers opens every file, and keeps those that are DICOM.
func headers(ctx context.Context, files []File, options Options) ([]*instance, Skipped, error) {
	type result struct {
		instance *instance
		err      error
	}
	var found []*instance
	var skipped Skipped
	var sum volume
	n, wait := workers(options.Parallel), newPatience()
	for _, r := range ordered(ctx, len(files), n, 16*n, func(ctx context.Context, i int) result {
		if err := ctx.Err(); err != nil {
			return result{err: err}
		}
		one, err := openInstance(ctx, files[i], options.Limits, wait)
		return result{one, err}
	}) {
		switch {
		case errors.Is(r.err, errNotDICOM):
			skipped.NotDICOM++
			continue
		case r.err != nil:
			return nil, skipped, r.err
		case r.instance.studyUID == "" && r.instance.damaged == nil:
			skipped.Other++
			continue
		case r.instance.makers.are(options.OwnDevices):
			skipped.Own++
			continue
		}
		if err := sum.add(r.instance.file, options.Limits); err != nil {
			return nil, skipped, err
		}
		found = append(found, r.instance)
	}
	return adopt(found, options.StudyUID), skipped, nil
}

// volume adds up what a source holds.
type volume struct{ bytes, inflated, packed int64 }

// ratioFrom is how much an archive may inflate to before its ratio is asked for:
// small archives of dark slices pack very well.
const ratioFrom = 64 << 20

func (v *volume) add(file File, limits Limits) error {
	v.bytes += file.Size
	if file.Packed > 0 {
		v.inflated += file.Size
		v.packed += file.Packed
	}
	switch {
	case v.bytes > limits.StudyBytes:
		return neurotriage.Refuse(neurotriage.TooLarge, "read headers: the files exceed %d bytes together", limits.StudyBytes)
	case v.inflated > ratioFrom && v.inflated/int64(limits.ZipRatio) > v.packed:
		return neurotriage.Refuse(neurotriage.TooLarge, "read headers: the archive inflates more than %d times", limits.ZipRatio)
	}
	return nil
}

// adopt gives damaged files that do not name their study to the one beside which
// they lie: a study with a damaged file must not look whole. Where several
// studies lie together, they make a refused study of their own without a UID.
func adopt(found []*instance, asked string) []*instance {
	uid := asked
	for _, i := range found {
		switch {
		case i.studyUID == "" || i.studyUID == uid || asked != "":
		case uid == "":
			uid = i.studyUID
		default:
			return found
		}
	}
	for _, i := range found {
		if i.studyUID == "" {
			i.studyUID = uid
		}
	}
	return found
}

// groupBy keeps the order of first appearance.
func groupBy[K cmp.Ordered](all []*instance, key func(*instance) K) [][]*instance {
	place := map[K]int{}
	var groups [][]*instance
	for _, i := range all {
		k := key(i)
		at, seen := place[k]
		if !seen {
			at = len(groups)
			place[k] = at
			groups = append(groups, nil)
		}
		groups[at] = append(groups[at], i)
	}
	return groups
}

// assemble turns the instances of one study into it. The checks follow the order
// of the contract: structure, eligibility, transfer syntax; pixels come later.
func assemble(ctx context.Context, all []*instance, skipped Skipped, options Options) (*Study, error) {
	s := &Study{options: options, study: neurotriage.Study{UID: all[0].studyUID, Skipped: skipped.NotDICOM + skipped.Other}}
	named := slices.DeleteFunc(slices.Clone(all), func(i *instance) bool { return !i.identified() })
	lost := len(all) - len(named)
	if len(named) == 0 {
		s.refusal = asRefusal(all[0].damaged)
		if s.refusal == nil {
			s.refusal = neurotriage.Refuse(neurotriage.CorruptDICOM, "read study: no file names its series and instance")
		}
		return s, nil
	}
	if s.refusal = samePatient(named); s.refusal != nil {
		return s, nil // without a patient: nobody knows which
	}
	s.describe(named)
	single, warnings, err := unique(ctx, named, options.Limits)
	if s.refusal = asRefusal(err); s.refusal != nil {
		return s, nil
	}
	if err != nil {
		return nil, err
	}
	s.study.Warnings = append(s.study.Warnings, warnings...)
	if lost > 0 {
		s.warn("%d files are damaged before they name their series", lost)
	}
	if s.refusal = countFrames(single, options.Limits); s.refusal != nil {
		return s, nil
	}
	s.addSeries(single, lost > 0)
	s.refusal = s.unreadable(all)
	return s, nil
}

func (s *Study) warn(format string, args ...any) {
	s.study.Warnings = append(s.study.Warnings, fmt.Sprintf(format, args...))
}

// describe takes study level attributes from the first instance that has them.
func (s *Study) describe(all []*instance) {
	s.described = true
	for _, i := range all {
		p := &s.study.Patient
		if p.ID == "" { // an identifier means nothing without who gave it
			p.ID, p.Issuer = i.patient.ID, i.patient.Issuer
		}
		p.Name = cmp.Or(p.Name, i.patient.Name)
		p.BirthDate, p.Sex = cmp.Or(p.BirthDate, i.patient.BirthDate), cmp.Or(p.Sex, i.patient.Sex)
		s.study.AccessionNumber = cmp.Or(s.study.AccessionNumber, i.accession)
		s.study.PlacerOrder, s.study.FillerOrder = cmp.Or(s.study.PlacerOrder, i.placer), cmp.Or(s.study.FillerOrder, i.filler)
		s.study.ID = cmp.Or(s.study.ID, i.studyID)
		s.study.Date, s.study.Time = cmp.Or(s.study.Date, i.date), cmp.Or(s.study.Time, i.clock)
		s.study.UTCOffset = cmp.Or(s.study.UTCOffset, i.utcOffset)
		s.study.Description = cmp.Or(s.study.Description, i.studyDescription)
		s.study.Referring = cmp.Or(s.study.Referring, neurotriage.Person(i.referring))
	}
}

// addSeries groups, judges and sorts the series that were asked for.
func (s *Study) addSeries(all []*instance, lost bool) {
	type planned struct {
		series neurotriage.Series
		plan   []*instance
	}
	var made []planned
	seen := map[string]bool{}
	for _, group := range groupBy(all, func(i *instance) string { return i.seriesUID }) {
		uid := group[0].seriesUID
		seen[uid] = true
		if len(s.options.SeriesUIDs) > 0 && !slices.Contains(s.options.SeriesUIDs, uid) {
			continue
		}
		series, plan := makeSeries(group, s.options)
		if lost {
			series.Complete = false
		}
		made = append(made, planned{series, plan})
	}
	for _, uid := range s.options.SeriesUIDs {
		if !seen[uid] {
			s.warn("series %s was asked for and is not there", uid)
		}
	}
	slices.SortFunc(made, func(a, b planned) int {
		return cmp.Or(cmp.Compare(a.series.Number, b.series.Number), strings.Compare(a.series.UID, b.series.UID))
	})
	for _, m := range made {
		s.study.Series = append(s.study.Series, m.series)
		s.plan = append(s.plan, m.plan)
	}
}
