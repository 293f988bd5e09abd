package daemon

import (
	"context"
	"io"
	"net/http"

	"neurotriage/pacs"
	"neurotriage/pacs/dicomweb"
	"neurotriage/pacs/dimse"
)

// stow puts the depot into the words of package dicomweb.
type stow struct {
	depot  *pacs.Depot
	source func(aeTitle, remote string) (source string, known bool)
	ended  func(pacs.Transfer)
	tally  tally
}

// openSTOW makes the handler of /dicom-web/studies.
func (d *Daemon) openSTOW() http.Handler {
	s := &stow{depot: d.in.depot, source: d.in.receiver.Source, ended: d.transferred, tally: tally{open: map[string]*pacs.Transfer{}}}
	return dicomweb.NewReceiver(dicomweb.ReceiverOptions{
		Depot: s, Begun: s.begun, Ended: s.over, Logger: d.deps.Logger.With("component", "pacs"),
	})
}

// Store keeps one object of a request.
func (s *stow) Store(ctx context.Context, from dicomweb.Incoming, object io.Reader) (dicomweb.Kept, error) {
	source, _ := s.source("", from.Remote)
	receipt, err := s.depot.Store(ctx, pacs.Incoming{Source: source, Part10: true, Study: from.Study}, object)
	s.tally.note(from.Transfer, receipt, err != nil)
	if err != nil {
		return dicomweb.Kept{}, &dicomweb.Rejection{
			SOPClassUID: receipt.SOPClassUID, SOPInstanceUID: receipt.SOPInstanceUID, Reason: uint16(pacs.StatusOf(err)), Err: err,
		}
	}
	return dicomweb.Kept{SOPClassUID: receipt.SOPClassUID, SOPInstanceUID: receipt.SOPInstanceUID, StudyInstanceUID: receipt.StudyInstanceUID}, nil
}

// begun and over are for a request what opening and release are for an
// association.
func (s *stow) begun(from dicomweb.Incoming) {
	source, _ := s.source("", from.Remote)
	s.depot.Opened(source)
	s.tally.begin(from.Transfer, pacs.Transfer{Source: source, AETitle: from.User, Remote: from.Remote})
}

func (s *stow) over(from dicomweb.Incoming, err error) {
	transfer := s.tally.end(from.Transfer)
	if err != nil {
		s.depot.BrokeOff(transfer.Source)
		transfer.End = dimse.Lost
	} else {
		s.depot.Closed(transfer.Source)
		transfer.End = dimse.Released
	}
	s.ended(transfer)
}

// fromKnown turns away who is no source, where only sources may send. A full
// depot says so before a body is sent.
func (d *Daemon) fromKnown(next http.Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if _, known := d.in.receiver.Source("", r.RemoteAddr); !known {
			d.turnedAway("", r.RemoteAddr, errNoSource)
			http.Error(w, errNoSource.Error(), http.StatusForbidden)
			return
		}
		if err := d.in.depot.Full(); err != nil {
			w.Header().Set("Retry-After", "60")
			http.Error(w, err.Error(), http.StatusInsufficientStorage)
			return
		}
		next.ServeHTTP(w, r)
	}
}
