package worklist

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"neurotriage"
)

// row is an entry as the page words it.
type row struct {
	Entry
	Class   string // of the style sheet: review, suspected, unread, waiting, calm
	Sign    string // stands beside the colour, for those who do not see it
	Verdict string
	Detail  string
	Once    bool // was flagged before and is not now
	When    time.Time
	Age     string
	Stage   string // how far the study has come
	Lost    bool   // a destination does not have the finding and will not get it
	Said    string // the verdict on the finding in force
	Seen    string // who acknowledged its alert
	Former  bool   // the verdict that there is belongs to an earlier finding
}

func newRow(e Entry, now time.Time) row {
	r := row{Entry: e, When: e.latest(), Age: age(now.Sub(e.latest())), Once: e.WasFlagged && !e.Flagged()}
	r.Stage = stage(e)
	r.Lost = slices.ContainsFunc(e.Deliveries, func(d Delivery) bool { return d.State == Failed })
	if j := e.Assessed; j != nil {
		r.Former = j.FindingID != e.FindingID
		r.Said = j.Verdict + " by " + j.User
		if j.Label != "" {
			r.Said = j.Verdict + " to " + j.Label + " by " + j.User
		}
	}
	if j := e.Acknowledged; j != nil && j.FindingID == e.FindingID {
		r.Seen = "seen by " + j.User
	}
	switch {
	case e.State == Waiting:
		r.Class, r.Sign, r.Verdict = "waiting", "…", "Waiting"
	case e.State == Reading:
		r.Class, r.Sign, r.Verdict = "waiting", "▸", "Being read"
		if e.Attempts > 1 {
			r.Detail = fmt.Sprintf("attempt %d", e.Attempts)
		}
	case e.Flagged():
		r.Class, r.Sign, r.Verdict = "review", "▲", "Glioma review"
	case e.Disposition == neurotriage.TumourSuspected:
		r.Class, r.Sign, r.Verdict, r.Detail = "suspected", "◆", "Tumour suspected", "leading: "+e.Predicted
	case e.Disposition == neurotriage.NotFlagged:
		r.Class, r.Sign, r.Verdict, r.Detail = "calm", "·", "Not flagged", "says nothing about the absence of a tumour"
	default:
		r.Class, r.Sign, r.Verdict, r.Detail = "unread", "✕", "NOT READ", explain(e.Disposition, e.Reason)
	}
	return r
}

// stage words how far a study has come. A finding stands in the list only after
// everything about it was stored; what goes on to destinations has a state each.
func stage(e Entry) string {
	again := ""
	if e.FindingID != "" {
		again = " again"
	}
	switch e.stage() {
	case Waiting:
		return "waiting" + again
	case Reading:
		return "being read" + again
	case NotRead:
		return "NOT READ" + delivery(e.Deliveries)
	}
	return "read" + delivery(e.Deliveries)
}

// delivery words the deliveries of a finding, if it is to go anywhere, the worst
// first.
func delivery(list []Delivery) string {
	if len(list) == 0 {
		return ""
	}
	return ", " + delivered(list)
}

func delivered(list []Delivery) string {
	count := map[DeliveryState]int{}
	for _, d := range list {
		count[d.State]++
	}
	of := ""
	if len(list) > 1 {
		of = fmt.Sprintf(" of %d", len(list))
	}
	switch {
	case count[Failed] > 0 && len(list) > 1:
		return fmt.Sprintf("NOT DELIVERED to %d%s", count[Failed], of)
	case count[Failed] > 0:
		return "NOT DELIVERED"
	case count[Delivered] == len(list):
		return "delivered"
	}
	if count[Delivered] > 0 {
		return fmt.Sprintf("delivered to %d%s", count[Delivered], of)
	}
	return "on its way"
}

// explanations word the reasons of a finding for a radiologist.
var explanations = map[neurotriage.Reason]string{
	neurotriage.NothingEligible:           "no series is a T1-weighted MR of the brain",
	neurotriage.NoContrast:                "T1 without contrast agent: the model may raise, never clear",
	neurotriage.Incomplete:                "slices are missing or could not be read",
	neurotriage.OutOfDomain:               "unlike anything the model was trained on",
	neurotriage.Uncertain:                 "the model cannot tell",
	neurotriage.MalformedEvent:            "the announcement was malformed",
	neurotriage.StudyNotFound:             "the study was not where its announcement said",
	neurotriage.NotDICOM:                  "no DICOM files were there",
	neurotriage.CorruptDICOM:              "the files are damaged",
	neurotriage.UnsupportedTransferSyntax: "compressed in a way that this version does not read",
	neurotriage.UnsupportedImage:          "a kind of image that this version does not read",
	neurotriage.TooLarge:                  "larger than the configured limits",
	neurotriage.PathNotAllowed:            "the announced path leaves its root",
	neurotriage.URLNotAllowed:             "the announced address is not on the allow-list",
	neurotriage.InconsistentStudy:         "the files contradict each other, as two patients in one study do",
	neurotriage.GaveUp:                    "given up after repeated attempts",
}

func explain(disposition neurotriage.Disposition, reason neurotriage.Reason) string {
	text, ok := explanations[reason]
	if !ok {
		text = strings.ReplaceAll(string(reason), "_", " ")
	}
	if disposition == neurotriage.Refused {
		return "refused: " + text
	}
	return text
}

// age words a duration as a person says it.
func age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return "just now"
	case d < time.Hour:
		return fmt.Sprintf("%d min ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h ago", int(d.Hours()))
	}
	return fmt.Sprintf("%d days ago", int(d.Hours()/24))
}
