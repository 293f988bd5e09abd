package config

import (
	"fmt"
	"strconv"
)

// Threshold gives the glioma review threshold in force, given the model card's,
// and the warnings that belong into every finding made with it. One above the
// card's flags fewer gliomas than the model was validated for, so it is a
// *FaultError unless AcceptLowerRecall says that this is wanted.
func (m Model) Threshold(card float64) (inForce float64, warnings []string, err error) {
	const path = "model.thresholds.glioma_review"
	set := m.Thresholds.GliomaReview
	switch {
	case set == nil:
		return card, nil, nil
	case *set <= card:
		return *set, nil, nil
	case !m.AcceptLowerRecall:
		var faults complaints
		faults.add(path, number(*set), "", "above the model card's %s, so gliomas would be missed that the model can flag; "+
			"allowed is at most the card's, or model.accept_lower_recall: true, which then stands in every finding", number(card))
		return card, nil, faults.err()
	}
	return *set, []string{fmt.Sprintf("glioma review threshold %s is above the model card's %s: "+
		"lower recall was accepted by configuration", number(*set), number(card))}, nil
}

func number(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }
