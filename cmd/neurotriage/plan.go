package main

import (
	"context"
	"errors"
	"fmt"

	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"neurotriage"
	"neurotriage/dicomio"
)

// errand is one study to announce: where a daemon finds it, or else the files
// to send it.
type errand struct {
	uid       string
	accession string
	location  neurotriage.Location // of kind directory; its zero value: upload
	files     []dicomio.File
	holders   []string // what holds the files on disk: themselves, or an archive
	archived  bool     // some holder is an archive
}

// planner sorts the files below some paths into studies. It is used once.
type planner struct {
	roots   map[string]string // of the daemon: name -> folder
	limits  dicomio.Limits
	step    func() // after each file
	sources []dicomio.Source
	studies map[string]*errand
	strays  []*errand // damaged files that do not say which study they belong to
	skipped int       // files that belong to no study
}

// plan gives one errand per study, sorted by study UID. The planner's close
// comes after the last use of their files.
func (p *planner) plan(ctx context.Context, paths []string) ([]errand, error) {
	p.studies = map[string]*errand{}
	for _, path := range paths {
		if err := p.look(ctx, path); err != nil {
			return nil, err
		}
	}
	if len(p.studies) == 0 && len(p.strays) > 0 {
		return nil, fmt.Errorf("%s: damaged before its header names a study, so there is nothing to announce", p.strays[0].holders[0])
	}
	var errands []errand
	for _, uid := range slices.Sorted(maps.Keys(p.studies)) {
		study := p.studies[uid]
		for _, stray := range p.strays { // a study with a damaged file beside it must not look whole
			study.add(stray)
		}
		study.location = p.locate(study)
		errands = append(errands, *study)
	}
	return errands, nil
}

// close releases the files.
func (p *planner) close() error {
	var errs []error
	for _, source := range p.sources {
		errs = append(errs, source.Close())
	}
	return errors.Join(errs...)
}

// look takes in the files of one path.
func (p *planner) look(ctx context.Context, path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return usage(fmt.Errorf("submit: %w", err))
	}
	source := dicomio.Paths([]string{path})
	p.sources = append(p.sources, source)
	for file, err := range source.List(ctx) {
		if err != nil {
			return err
		}
		one, err := p.identify(ctx, file)
		if err != nil {
			return err
		}
		p.step()
		if one == nil {
			p.skipped++
			continue
		}
		one.holders = []string{file.Name}
		if !info.IsDir() {
			one.holders, one.archived = []string{path}, filepath.Clean(file.Name) != filepath.Clean(path)
		}
		switch known := p.studies[one.uid]; {
		case one.uid == "":
			p.strays = append(p.strays, one)
		case known == nil:
			p.studies[one.uid] = one
		default:
			known.add(one)
		}
	}
	return nil
}

// identify reads which study a file belongs to; nil for none.
func (p *planner) identify(ctx context.Context, file dicomio.File) (*errand, error) {
	studies, _, err := dicomio.Scan(ctx, single(file), dicomio.Options{Limits: p.limits, Parallel: 1})
	if err != nil || len(studies) == 0 {
		return nil, err
	}
	study := studies[0].Study()
	return &errand{uid: study.UID, accession: study.AccessionNumber, files: []dicomio.File{file}}, studies[0].Close()
}

// single is a source of one file.
type single dicomio.File

func (s single) List(context.Context) iter.Seq2[dicomio.File, error] {
	return func(yield func(dicomio.File, error) bool) { yield(dicomio.File(s), nil) }
}

func (s single) Close() error { return nil }

// add takes the other's files in.
func (e *errand) add(other *errand) {
	e.files = append(e.files, other.files...)
	for _, holder := range other.holders {
		if !slices.Contains(e.holders[max(0, len(e.holders)-1):], holder) { // an archive repeats
			e.holders = append(e.holders, holder)
		}
	}
	e.archived = e.archived || other.archived
	if e.accession == "" {
		e.accession = other.accession
	}
}

// locate names the study's place below a root of the daemon, or nothing when it
// has to be sent: it is not below one, lies in several archives, or its folder
// is the root itself, all of which the daemon would have to look through.
func (p *planner) locate(study *errand) neurotriage.Location {
	place, err := filepath.Abs(study.holders[0])
	if len(study.holders) > 1 {
		if study.archived {
			return neurotriage.Location{}
		}
		place, err = commonFolder(study.holders)
	}
	if err == nil {
		place, err = filepath.EvalSymlinks(place)
	}
	if err != nil {
		return neurotriage.Location{}
	}
	for _, name := range slices.Sorted(maps.Keys(p.roots)) {
		root, err := filepath.EvalSymlinks(p.roots[name])
		if err != nil {
			continue // not on this machine
		}
		if path, err := filepath.Rel(root, place); err == nil && filepath.IsLocal(path) && path != "." {
			return neurotriage.Location{Kind: neurotriage.Directory, Root: name, Path: filepath.ToSlash(path)}
		}
	}
	return neurotriage.Location{}
}

// commonFolder is the deepest folder that holds all files.
func commonFolder(files []string) (string, error) {
	common := ""
	for i, file := range files {
		absolute, err := filepath.Abs(file)
		if err != nil {
			return "", err
		}
		folder := filepath.Dir(absolute)
		if i == 0 {
			common = folder
		}
		for !within(common, folder) {
			common = filepath.Dir(common)
		}
	}
	return common, nil
}

func within(folder, path string) bool {
	relative, err := filepath.Rel(folder, path)
	return err == nil && filepath.IsLocal(relative)
}
