package classifier

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
)

// oracle answers golden inputs, changed as told.
type oracle struct {
	golden Golden
	next   int
	change func(out *Output)
	fail   error
}

func (o *oracle) Info() RunnerInfo { return RunnerInfo{Runtime: "cpu", Batch: 1, Workers: 1} }
func (o *oracle) Close() error     { return nil }
func (o *oracle) Run(_ context.Context, _ []float32, n int) (Output, error) {
	out := Output{OOD: []float32{float32(o.golden.OOD[o.next])}, CAMs: make([]float32, 4*n), MapRows: 1, MapColumns: 1}
	for _, v := range o.golden.Logits[o.next] {
		out.Logits = append(out.Logits, float32(v))
	}
	if o.next++; o.change != nil && o.next == 3 {
		o.change(&out)
	}
	return out, o.fail
}

func TestGoldenVerify(t *testing.T) {
	p, err := Unpack(tinyFile(t, nil))
	if err != nil {
		t.Fatal(err)
	}
	boom := errors.New("boom")
	for name, test := range map[string]struct {
		change func(out *Output)
		fail   error
		want   string
	}{
		"right":               {},
		"within a thousandth": {change: func(out *Output) { out.Logits[1] += 0.0009 }},
		"off":                 {change: func(out *Output) { out.Logits[1] += 0.0011 }, want: "golden input 2: logit of meningioma is"},
		"NaN":                 {change: func(out *Output) { out.Logits[0] = float32(math.NaN()) }, want: "golden input 2: logit of glioma is NaN"},
		"domain score off":    {change: func(out *Output) { out.OOD[0] += 0.01 }, want: "golden input 2: domain score is"},
		"wrong shape":         {change: func(out *Output) { out.OOD = nil }, want: "running golden input 2"},
		"fails":               {fail: boom, want: "boom"},
	} {
		_, err := p.Golden.Verify(t.Context(), p.Model, &oracle{golden: p.Golden, change: test.change, fail: test.fail})
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: %v does not say %q", name, err, test.want)
		}
	}
}

func TestGoldenTensorsFollowTheFormula(t *testing.T) {
	tensors := Golden{Count: 3}.Tensors(20)
	if len(tensors) != 3*400 {
		t.Fatalf("%d values", len(tensors))
	}
	for _, test := range []struct{ k, y, x int }{{0, 0, 0}, {0, 3, 7}, {1, 19, 0}, {2, 5, 19}} {
		want := float32(0.5 + 0.5*math.Sin(0.05*float64(test.k+1)*float64(test.x)+0.03*float64(test.k+2)*float64(test.y)))
		if got := tensors[test.k*400+test.y*20+test.x]; got != want {
			t.Errorf("%+v: %v, want %v", test, got, want)
		}
	}
}
