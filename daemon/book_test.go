package daemon

import (
	"testing"

	"neurotriage/audit"
	"neurotriage/worklist"
)

func TestActsInTheLogBook(t *testing.T) {
	for _, want := range []struct {
		act  worklist.Act
		kind audit.Kind
	}{
		{worklist.Act{Name: "see the worklist", Allowed: true}, audit.Query},
		{worklist.Act{Name: "see the worklist"}, audit.Refused},
		{worklist.Act{Name: "see a study", Allowed: true, StudyInstanceUID: "1.2"}, audit.Read},
		{worklist.Act{Name: "assess", Allowed: true, StudyInstanceUID: "1.2", Detail: "rejected"}, audit.Changed},
		{worklist.Act{Name: "replay a dead letter", Allowed: true}, audit.Changed},
		{worklist.Act{Name: "log in", Allowed: true}, audit.Login},
		{worklist.Act{Name: "log in"}, audit.Login},
		{worklist.Act{Name: "log out", Allowed: true}, audit.Logout},
	} {
		got := actEvent(want.act)
		if got.Kind != want.kind {
			t.Errorf("%+v is %s, want %s", want.act, got.Kind, want.kind)
		}
		if got.Failed != (want.act.Name == "log in" && !want.act.Allowed) {
			t.Errorf("%+v: failed %v", want.act, got.Failed)
		}
		if uid := want.act.StudyInstanceUID; uid != "" && (len(got.Studies) != 1 || got.Studies[0].UID != uid) {
			t.Errorf("%+v: studies %v", want.act, got.Studies)
		}
	}
}
