package kit_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"neurotriage"
	"neurotriage/dicomio"
	"neurotriage/internal/kit"
)

// The committed fixtures are what the program writes, and the README names each
// with its digest.
func TestFixturesAreGenerated(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join("..", "..", "testdata", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, fixture := range kit.Fixtures() {
		committed, err := os.ReadFile(filepath.Join("..", "..", "testdata", filepath.FromSlash(fixture.Name)))
		if err != nil || !bytes.Equal(committed, fixture.Data) {
			t.Errorf("%s is not what the program writes (run go run ./testdata/generate): %v", fixture.Name, err)
		}
		sum := sha256.Sum256(fixture.Data)
		if digest := hex.EncodeToString(sum[:]); !strings.Contains(string(readme), "`"+fixture.Name+"` | "+digest) {
			t.Errorf("README.md lacks `%s` | %s", fixture.Name, digest)
		}
	}
}

// Each fixture is read as its purpose says.
func TestFixturesServeTheirPurpose(t *testing.T) {
	cases := map[string]struct {
		sequence        neurotriage.SequenceKind // of the first eligible series
		complete        bool
		slices, refused int
	}{
		"dicom/t1c.zip":     {neurotriage.T1C, true, 12, 0},
		"dicom/t1c-rle.zip": {neurotriage.T1C, true, 12, 0},
		"dicom/t1.zip":      {neurotriage.T1, true, 12, 0},
		"dicom/t2.zip":      {},
		"dicom/torn.zip":    {neurotriage.T1C, false, 11, 1},
		"dicom/gap.zip":     {neurotriage.T1C, false, 11, 0},
	}
	for _, fixture := range kit.Fixtures() {
		want := cases[fixture.Name]
		study, err := dicomio.Open(t.Context(), dicomio.Zip(bytes.NewReader(fixture.Data), int64(len(fixture.Data))), dicomio.Options{})
		if err != nil {
			t.Errorf("%s: %v", fixture.Name, err)
			continue
		}
		got := want
		got.sequence, got.complete, got.slices, got.refused = "", false, 0, 0
		for _, series := range study.Study().Series {
			if series.Eligible {
				got.sequence, got.complete = series.Sequence, series.Complete
			}
		}
		for _, err := range study.Slices(context.Background()) {
			if err != nil {
				got.refused++
			} else {
				got.slices++
			}
		}
		if got != want {
			t.Errorf("%s: got %+v, want %+v", fixture.Name, got, want)
		}
		if err := study.Close(); err != nil {
			t.Error(err)
		}
	}
}
