package neurotriage_test

import (
	"testing"

	"neurotriage"
)

func TestDerivedUIDs(t *testing.T) {
	seen := map[string]string{}
	for _, parts := range [][2]string{{"a", "sr"}, {"a", "key 1"}, {"b", "sr"}, {"", ""}} {
		uid := neurotriage.DerivedUID(parts[0], parts[1])
		if err := neurotriage.CheckUID(uid); err != nil {
			t.Errorf("%q: %v", parts, err)
		}
		if uid != neurotriage.DerivedUID(parts[0], parts[1]) {
			t.Errorf("%q: another UID the second time", parts)
		}
		if other, taken := seen[uid]; taken {
			t.Errorf("%q has the UID of %s", parts, other)
		}
		seen[uid] = parts[0] + parts[1]
	}
	// Fixed for all time: archives hold objects under them.
	if got, want := neurotriage.DeviceUID("sha256:00"), neurotriage.DerivedUID("device", "sha256:00"); got != want {
		t.Errorf("device UID %s, want %s", got, want)
	}
}
