package pacs

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"neurotriage"
	"neurotriage/pacs/dimse"
)

// archive is a peer that reports as told.
type archive struct {
	asked  chan string // transaction UIDs
	report func(transaction string, objects []dimse.SOPRef) (dimse.Commitment, bool)
	refs   []dimse.SOPRef
	refuse error
}

func (a *archive) Commit(_ context.Context, transaction string, objects []dimse.SOPRef) error {
	if a.refuse != nil {
		return a.refuse
	}
	a.refs = objects
	a.asked <- transaction
	return nil
}

func (a *archive) Committed(ctx context.Context) (dimse.Commitment, error) {
	if a.report != nil {
		if report, ok := a.report(<-a.asked, a.refs); ok {
			return report, nil
		}
	}
	<-ctx.Done()
	return dimse.Commitment{}, ctx.Err()
}

func (a *archive) Peer() dimse.Association { return dimse.Association{Called: "PACS"} }

var kept = []file{{sopClass: "1", sopInstance: "1.1"}, {sopClass: "1", sopInstance: "1.2"}}

func TestCommitment(t *testing.T) {
	whole := func(uid string, refs []dimse.SOPRef) dimse.Commitment {
		return dimse.Commitment{TransactionUID: uid, Stored: refs}
	}
	half := func(uid string, refs []dimse.SOPRef) dimse.Commitment {
		return dimse.Commitment{TransactionUID: uid, Stored: refs[:1], Failed: []dimse.CommitmentFailure{{SOPRef: refs[1], Reason: 0x0112}}}
	}
	cases := []struct {
		name   string
		report func(uid string, refs []dimse.SOPRef) dimse.Commitment
		refuse error
		want   string // part of the error; empty: committed
	}{
		{"all is kept", whole, nil, ""},
		{"half is kept", half, nil, "does not commit itself to 1 objects; of 1.2"},
		{"the request is refused", nil, errors.New("no such class"), "no such class"},
	}
	for _, c := range cases {
		for _, own := range []bool{true, false} {
			synctest.Test(t, func(t *testing.T) {
				register := NewCommitments()
				peer := &archive{asked: make(chan string, 1), refuse: c.refuse}
				if own { // over an association of the archive's own
					go func() {
						if c.refuse == nil {
							if err := register.Report(t.Context(), dimse.Association{}, c.report(<-peer.asked, peer.refs)); err != nil {
								t.Error(err)
							}
						}
					}()
				} else {
					peer.report = func(uid string, refs []dimse.SOPRef) (dimse.Commitment, bool) { return c.report(uid, refs), true }
				}
				err := register.ask(t.Context(), peer, "PACS", kept)
				if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
					t.Errorf("%s, on its own association %v: %v, want %q", c.name, own, err, c.want)
				}
				if register.holds("PACS", kept) != (c.want == "") || register.holds("OTHER", kept) {
					t.Errorf("%s: the register holds otherwise", c.name)
				}
				if register.awaited("PACS", kept) && c.want != "" {
					t.Errorf("%s: more is awaited", c.name)
				}
			})
		}
	}
}

// TestCommitmentThatComesLate settles the next attempt; until then the objects
// are not stored again, and after two hours they are.
func TestCommitmentThatComesLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		register := NewCommitments()
		peer := &archive{asked: make(chan string, 2)}
		var later *Postponed
		start := time.Now()
		if err := register.ask(t.Context(), peer, "PACS", kept); !errors.As(err, &later) || time.Since(start) != commitmentWait {
			t.Fatalf("without a report: %v after %s", err, time.Since(start))
		}
		if !register.awaited("PACS", kept) || register.awaited("OTHER", kept) || register.awaited("PACS", kept[:1]) {
			t.Error("not awaited, or for others")
		}
		time.Sleep(commitmentAgain)
		if register.awaited("PACS", kept) {
			t.Error("awaited for ever")
		}
		if err := register.Report(t.Context(), dimse.Association{}, dimse.Commitment{TransactionUID: "1.2.3", Stored: peer.refs}); err != nil || register.holds("PACS", kept) {
			t.Errorf("a report that nobody asked for was taken: %v", err)
		}
		transaction := <-peer.asked
		for range 2 {
			if err := register.Report(t.Context(), dimse.Association{}, dimse.Commitment{TransactionUID: transaction, Stored: peer.refs}); err != nil {
				t.Error(err)
			}
		}
		if !register.holds("PACS", kept) {
			t.Error("the late report was not taken")
		}
		time.Sleep(commitmentMemory + time.Hour)
		register.expect("PACS", kept)
		if register.holds("PACS", kept) || len(register.asked) != 1 {
			t.Error("nothing is forgotten")
		}
	})
}

func TestCommitmentIsCutShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := NewCommitments().ask(ctx, &archive{asked: make(chan string, 1)}, "PACS", kept); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		var none *Commitments
		if none.holds("PACS", kept) || none.awaited("PACS", kept) {
			t.Error("no register holds something")
		}
	})
}

func TestCommitmentUIDs(t *testing.T) {
	register := NewCommitments()
	one, _ := register.expect("PACS", kept)
	other, _ := register.expect("PACS", kept)
	if one == other || neurotriage.CheckUID(one) != nil {
		t.Errorf("transactions %s and %s", one, other)
	}
}
