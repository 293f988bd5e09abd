package worklist

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"neurotriage"
)

func (b *Board) serveKey(w http.ResponseWriter, r *http.Request) {
	number, ok := strings.CutSuffix(r.PathValue("file"), ".png")
	if n, err := strconv.Atoi(number); !ok || err != nil || n < 1 {
		b.fail(w, fmt.Errorf("no key slice %q: %w", r.PathValue("file"), ErrNotFound))
		return
	}
	entry, err := b.entry(r)
	if err != nil {
		b.fail(w, err)
		return
	}
	data, err := b.store.Media(r.Context(), entry.FindingID, "key-"+number+".png")
	if err != nil {
		b.fail(w, fmt.Errorf("reading the picture: %w", err))
		return
	}
	w.Header().Set("Content-Type", "image/png")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
}

// reportNames word the kinds of report objects.
var reportNames = map[string]string{"sr": "structured report (DICOM SR)", "key_image": "key image (DICOM)", "key_object": "key object selection (DICOM)"}

// reports links what was made from the finding, for those who may see the
// patient: every DICOM object names one.
func (b *Board) reports(who Visitor, uid string, f neurotriage.Finding) []sheetLink {
	list := make([]sheetLink, 0, len(f.Reports))
	for _, report := range f.Reports {
		one := sheetLink{Name: reportNames[report.Kind], SOPInstanceUID: report.SOPInstanceUID}
		if one.Name == "" {
			one.Name = report.Kind
		}
		if b.identified(who) && neurotriage.CheckUID(report.SOPInstanceUID) == nil {
			one.Link = "/study/" + uid + "/report/" + report.SOPInstanceUID + ".dcm"
		}
		list = append(list, one)
	}
	return list
}

func (b *Board) identified(who Visitor) bool {
	return b.options.Identity != nil && b.options.Identity(who)
}

// serveReport gives a report object as it was stored beside the finding.
func (b *Board) serveReport(w http.ResponseWriter, r *http.Request) {
	if who := visitor(r); !b.identified(who) {
		http.Error(w, "A report names the patient, whom the role "+who.Role.String()+" may not see (http.access.identity).", http.StatusForbidden)
		return
	}
	data, err := b.report(r)
	if err != nil {
		b.fail(w, err)
		return
	}
	b.book.done(r, "fetched a report, with the patient", "")
	w.Header().Set("Content-Type", "application/dicom")
	w.Header().Set("Content-Disposition", `attachment; filename="`+r.PathValue("file")+`"`) // digits and dots, checked
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
}

func (b *Board) report(r *http.Request) ([]byte, error) {
	entry, err := b.entry(r)
	if err != nil {
		return nil, err
	}
	finding, err := b.store.Finding(r.Context(), entry.FindingID)
	if err != nil {
		return nil, fmt.Errorf("reading the finding: %w", err)
	}
	uid, isFile := strings.CutSuffix(r.PathValue("file"), ".dcm")
	for _, report := range finding.Reports {
		if !isFile || report.SOPInstanceUID != uid || neurotriage.CheckUID(uid) != nil {
			continue
		}
		// The object's own name, else that of its kind, of which there is one.
		data, err := b.store.Media(r.Context(), finding.ID, uid+".dcm")
		if errors.Is(err, ErrNotFound) {
			data, err = b.store.Media(r.Context(), finding.ID, report.Kind+".dcm")
		}
		return data, err
	}
	return nil, fmt.Errorf("no report %q of this finding: %w", r.PathValue("file"), ErrNotFound)
}
