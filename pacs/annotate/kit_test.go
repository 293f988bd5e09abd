package annotate_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"neurotriage"
	"neurotriage/pacs"
)

const studyUID = "1.2.840.113619.2.5.1762583153"

// parcel is a flagged finding of a patient whose name must not come back in
// errors.
func parcel(change ...func(*pacs.Parcel)) pacs.Parcel {
	p := pacs.Parcel{
		Finding: neurotriage.Finding{
			ID: "5f1d0c2e-9f5b-5c0a-8d0e-2b7f3f6c1a90", StudyInstanceUID: studyUID, Status: neurotriage.StatusRead,
			Disposition: neurotriage.GliomaReview, Flags: neurotriage.Flags{GliomaReview: true},
			Probabilities: map[string]float64{"glioma": 0.91, "normal": 0.09}, Thresholds: neurotriage.Thresholds{GliomaReview: 0.17},
			Model: neurotriage.ModelRef{Name: "m", Digest: "sha256:00"}, Finished: time.Date(2026, 3, 2, 8, 15, 7, 0, time.UTC),
		},
		Job: neurotriage.Job{Priority: neurotriage.Routine, AccessionNumber: "A1"},
		Study: neurotriage.Study{
			UID: studyUID, Patient: neurotriage.Patient{Name: "Doe^Jane", ID: "MRN-77", BirthDate: "19700131", Sex: "F"},
			Series: []neurotriage.Series{{UID: "1.2.3", Modality: "MR", Slices: []neurotriage.Slice{
				{SOPInstanceUID: "1.2.3.1", SOPClassUID: "1.2.840.10008.5.1.4.1.1.4"}, {SOPInstanceUID: "1.2.3.1", Frame: 2}, {SOPInstanceUID: "1.2.3.2"},
			}}},
		},
	}
	for _, c := range change {
		c(&p)
	}
	return p
}

// revision is a later finding of the same study that is not flagged.
func revision(p *pacs.Parcel) {
	p.Finding.Replaces, p.Finding.ID = p.Finding.ID, "c6f20000-0000-5000-8000-000000000000"
	p.Finding.Disposition, p.Finding.Flags = neurotriage.NotFlagged, neurotriage.Flags{}
	p.Finding.Finished = p.Finding.Finished.Add(time.Hour)
}

func superseded(p *pacs.Parcel) { p.Superseded = true }

// The ways a delivery ends.
const (
	kept     = "kept"
	outage   = "outage"
	rejected = "rejected"
	again    = "again"
)

func ending(err error) string {
	switch {
	case err == nil:
		return kept
	case errors.Is(err, neurotriage.ErrSurroundings):
		return outage
	case errors.Is(err, pacs.ErrRejected):
		return rejected
	}
	return again
}

// check compares the end of a delivery, and what its error says.
func check(t *testing.T, err error, want, words string) {
	t.Helper()
	if got := ending(err); got != want {
		t.Fatalf("%s: %v, want %s", got, err, want)
	}
	if err == nil {
		return
	}
	if !strings.Contains(err.Error(), words) {
		t.Errorf("%q does not say %q", err, words)
	}
	for _, secret := range []string{"Doe", "doe", "Jane", "MRN-77", "19700131", "1970-01-31"} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("%q holds %q", err, secret)
		}
	}
}

// serve runs a handler and gives its address.
func serve(t *testing.T, handler http.Handler) string {
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}
