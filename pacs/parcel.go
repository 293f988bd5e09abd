package pacs

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// ErrNothing says that a parcel holds nothing for its destination, such as a
// refused study's of which no report could be made.
var ErrNothing = errors.New("nothing to deliver")

// open reads the parcel's objects of the kinds wanted; none named: of all.
func (p Parcel) open(ctx context.Context, kinds []string) ([]file, error) {
	var files []file
	for _, object := range p.Objects {
		if len(kinds) > 0 && !slices.Contains(kinds, object.Kind) {
			continue
		}
		data, err := object.Open(ctx)
		if err != nil {
			return nil, fmt.Errorf("opening the %s %s: %w", object.Kind, object.SOPInstanceUID, err)
		}
		one, err := openFile(data)
		if err == nil && one.sopInstance != object.SOPInstanceUID {
			err = fmt.Errorf("it holds instance %s", one.sopInstance)
		}
		if err != nil {
			return nil, fmt.Errorf("opening the %s %s: %w: %w", object.Kind, object.SOPInstanceUID, ErrRejected, err)
		}
		one.kind = object.Kind
		files = append(files, one)
	}
	if len(files) == 0 {
		return nil, ErrNothing
	}
	return files, nil
}
