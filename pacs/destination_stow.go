package pacs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"neurotriage"
	"neurotriage/pacs/dicomweb"
)

// STOW delivers report objects to an archive by STOW-RS.
type STOW struct {
	Client *dicomweb.Client
	Kinds  []string // of objects; empty: all
}

// Deliver stores the parcel's objects in one transfer.
func (s *STOW) Deliver(ctx context.Context, parcel Parcel) error {
	files, err := parcel.open(ctx, s.Kinds)
	if err != nil {
		return err
	}
	outgoing := make([]dicomweb.Outgoing, len(files))
	for i, one := range files {
		outgoing[i] = dicomweb.Outgoing{SOPInstanceUID: one.sopInstance, Size: int64(len(one.data)), Open: func() (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(one.data)), nil
		}}
	}
	return WebFault(ctx, s.Client, s.Client.Store(ctx, outgoing))
}

// WebFault sorts the error of a call to a web service into those that a courier
// knows: the service's own trouble wraps neurotriage.ErrSurroundings. An answer
// that could mean either is judged by whether the service is well otherwise.
func WebFault(ctx context.Context, client interface {
	Well(ctx context.Context) error
}, err error) error {
	if err == nil || errors.Is(err, neurotriage.ErrSurroundings) {
		return err
	}
	outage := fmt.Errorf("%w: %w", neurotriage.ErrSurroundings, err)
	if unstored, ok := errors.AsType[*dicomweb.StoreError](err); ok {
		if unstored.Full() {
			return outage
		}
		return err
	}
	if errors.Is(err, dicomweb.ErrBroken) || errors.Is(err, ErrRejected) {
		return err
	}
	status, answered := errors.AsType[*dicomweb.StatusError](err)
	if !answered || status.Transient() {
		return outage
	}
	switch status.Status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed:
		return outage // no parcel would get through: the login or the address is wrong
	}
	if status.Status >= 500 && client.Well(ctx) != nil || status.Status < 400 {
		return outage
	}
	return err
}
