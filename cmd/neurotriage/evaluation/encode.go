package evaluation

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// MarshalJSON writes scikit-learn's classification_report(output_dict=True):
// one key per label, "accuracy", "macro avg" and "weighted avg", and beside
// them what that report lacks. The order of the keys is fixed.
func (r Report) MarshalJSON() ([]byte, error) {
	type member struct {
		name  string
		value any
	}
	var members []member
	for i, label := range r.Labels {
		members = append(members, member{label, r.Classes[i]})
	}
	members = append(members,
		member{"accuracy", r.Accuracy},
		member{"macro avg", r.Macro},
		member{"weighted avg", r.Weighted},
		member{"labels", r.Labels},
		member{"confusion_matrix", r.Confusion},
		member{"review", r.Review},
		member{"ece", r.ECE},
		member{"reliability", notNil(r.Reliability)},
		member{"abstentions", r.Abstentions},
		member{"unreadable", notNil(r.Unreadable)},
		member{"skipped", r.Skipped},
		member{"model", r.Model},
	)
	var out bytes.Buffer
	out.WriteByte('{')
	for i, m := range members {
		if i > 0 {
			out.WriteByte(',')
		}
		value, err := json.Marshal(m.value)
		if err != nil {
			return nil, fmt.Errorf("encode %q of the evaluation: %w", m.name, err)
		}
		name, err := json.Marshal(m.name)
		if err != nil {
			return nil, fmt.Errorf("encode the name %q: %w", m.name, err)
		}
		out.Write(name)
		out.WriteByte(':')
		out.Write(value)
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}

// notNil makes an empty list [] rather than null.
func notNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
