package evaluation

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"neurotriage"
)

// brightness answers by the first pixel: below 64 glioma, below 128
// meningioma, and so on; a picture of 255 has no head.
type brightness struct{ fail error }

func (b brightness) Score(_ context.Context, slice neurotriage.Slice) (neurotriage.SliceScore, error) {
	switch first := slice.Pixels[0]; {
	case b.fail != nil:
		return neurotriage.SliceScore{}, b.fail
	case first == 255:
		return neurotriage.SliceScore{Probabilities: sure(0)}, nil // the recipe found no head
	case first == 254:
		return neurotriage.SliceScore{}, neurotriage.Refuse(neurotriage.UnsupportedImage, "pixel is 254")
	default:
		return neurotriage.SliceScore{Probabilities: sure(int(first) / 64), OOD: float64(first), HeadAreaMM2: 6}, nil
	}
}

// tree writes files and gives their folder.
func tree(t *testing.T, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func pngOf(t *testing.T, picture image.Image) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := png.Encode(&out, picture); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func greyPNG(t *testing.T, value uint8) []byte {
	picture := image.NewGray(image.Rect(0, 0, 3, 2))
	for i := range picture.Pix {
		picture.Pix[i] = value
	}
	return pngOf(t, picture)
}

// fakeDICOM stands for dicomio: "DICM" is a slice, "BAD" a broken one.
func fakeDICOM(path string) (neurotriage.Slice, error) {
	data, err := os.ReadFile(path)
	switch {
	case err != nil:
		return neurotriage.Slice{}, err
	case string(data) == "DICM":
		return neurotriage.Slice{Rows: 1, Columns: 1, Pixels: []float32{70}}, nil
	case string(data) == "BAD":
		return neurotriage.Slice{}, neurotriage.Refuse(neurotriage.CorruptDICOM, "ends early")
	}
	return neurotriage.Slice{}, neurotriage.Refuse(neurotriage.NotDICOM, "no DICM")
}

func TestEveryFileHasItsOutcome(t *testing.T) {
	broken := greyPNG(t, 1)
	dir := tree(t, map[string][]byte{
		"glioma/a.png":          greyPNG(t, 10),
		"glioma/deep/b.png":     greyPNG(t, 200),
		"glioma/flat.png":       greyPNG(t, 255),
		"glioma/.hidden.png":    greyPNG(t, 10),
		"meningioma/c.dcm":      []byte("DICM"),
		"meningioma/bad.dcm":    []byte("BAD"),
		"meningioma/cut.png":    broken[:len(broken)-20],
		"meningioma/refuse.png": greyPNG(t, 254),
		"normal/notes.txt":      []byte("these are ours"),
		"README":                []byte("not in a class folder"),
	})
	files, missing, err := List(dir, labels)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(missing, []string{"pituitary"}) {
		t.Errorf("missing %v, want pituitary", missing)
	}
	done := make(chan struct{}, 100)
	task := Task{Scorer: brightness{}, DICOM: fakeDICOM, Limit: 1 << 20, OutOfDomain: 100, Workers: 3, Done: func() { done <- struct{}{} }}
	outcomes, skipped, err := task.Score(t.Context(), files)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, o := range outcomes {
		name, _ := filepath.Rel(dir, o.File)
		switch {
		case o.Err != nil:
			got = append(got, name+" unreadable")
		case o.Probabilities == nil:
			got = append(got, name+" "+o.Abstained)
		default:
			got = append(got, fmt.Sprintf("%s %s foreign=%t", name, labels[o.answer()], o.Foreign))
		}
	}
	want := []string{
		"glioma/a.png glioma foreign=false",
		"glioma/deep/b.png pituitary foreign=true",
		"glioma/flat.png " + Blank,
		"meningioma/bad.dcm unreadable",
		"meningioma/c.dcm meningioma foreign=false",
		"meningioma/cut.png unreadable",
		"meningioma/refuse.png unreadable",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if skipped != 1 || len(done) != len(files) {
		t.Errorf("skipped %d (want 1), progress %d of %d", skipped, len(done), len(files))
	}
}

func TestScorerFaultEndsTheWork(t *testing.T) {
	dir := tree(t, map[string][]byte{"glioma/a.png": greyPNG(t, 10), "glioma/b.png": greyPNG(t, 10)})
	files, _, err := List(dir, labels)
	if err != nil {
		t.Fatal(err)
	}
	lost := errors.New("device lost")
	task := Task{Scorer: brightness{fail: lost}, DICOM: fakeDICOM, Limit: 1 << 20, Workers: 2}
	if _, _, err := task.Score(t.Context(), files); !errors.Is(err, lost) || !strings.Contains(err.Error(), ".png") {
		t.Errorf("got %v, want the scorer's error with the file's name", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := task.Score(ctx, files); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v after an interrupt", err)
	}
}

func TestFilesBeyondTheLimitAreNotRead(t *testing.T) {
	dir := tree(t, map[string][]byte{"glioma/a.png": greyPNG(t, 10)})
	task := Task{Scorer: brightness{}, DICOM: fakeDICOM, Limit: 10, Workers: 1}
	outcomes, _, err := task.Score(t.Context(), []File{{Path: filepath.Join(dir, "glioma/a.png")}})
	if err != nil || len(outcomes) != 1 || outcomes[0].Err == nil || !strings.Contains(outcomes[0].Err.Error(), "at most 10") {
		t.Errorf("got %+v, %v", outcomes, err)
	}
}

func TestLayout(t *testing.T) {
	cases := []struct {
		name  string
		files map[string][]byte
		want  string
	}{
		{"a folder that is no class", map[string][]byte{"notumor/a.png": nil, "glioma/a.png": nil}, `folder "notumor"`},
		{"no class folders", map[string][]byte{"a.png": nil}, "it needs folders named glioma, meningioma, normal, pituitary"},
		{"hidden folders do not matter", map[string][]byte{".git/a": nil, "glioma/a.png": nil}, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := List(tree(t, c.files), labels)
			switch {
			case c.want == "" && err != nil:
				t.Errorf("got %v", err)
			case c.want != "" && (!errors.Is(err, ErrLayout) || !strings.Contains(err.Error(), c.want)):
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestPictures(t *testing.T) {
	colours := image.NewNRGBA(image.Rect(0, 0, 2, 1))
	colours.SetNRGBA(0, 0, color.NRGBA{R: 200, G: 100, B: 50, A: 255})
	colours.SetNRGBA(1, 0, color.NRGBA{R: 200, G: 100, B: 50, A: 1}) // almost transparent
	deep := image.NewGray16(image.Rect(0, 0, 1, 1))
	deep.SetGray16(0, 0, color.Gray16{Y: 40000})
	var jpg bytes.Buffer
	flat := image.NewGray(image.Rect(0, 0, 8, 8))
	for i := range flat.Pix {
		flat.Pix[i] = 128
	}
	if err := jpeg.Encode(&jpg, flat, nil); err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name string
		data []byte
		want []float32 // the first pixels
	}{
		{"8 bit grey", greyPNG(t, 77), []float32{77, 77}},
		{"16 bit grey", pngOf(t, deep), []float32{40000}},
		{"colour to luma", pngOf(t, colours), []float32{(299*200 + 587*100 + 114*50 + 500) / 1000, 124}},
		{"JPEG", jpg.Bytes(), []float32{128, 128}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			slice, err := decodePicture(c.data)
			if err != nil {
				t.Fatal(err)
			}
			if len(slice.Pixels) != slice.Rows*slice.Columns || slice.Spacing != [2]float64{1, 1} {
				t.Errorf("slice %dx%d of %v with %d pixels", slice.Rows, slice.Columns, slice.Spacing, len(slice.Pixels))
			}
			if got := slice.Pixels[:len(c.want)]; !slices.Equal(got, c.want) {
				t.Errorf("pixels %v, want %v", got, c.want)
			}
		})
	}
}

func TestHugePicturesAreNotDecoded(t *testing.T) {
	data := pngOf(t, image.NewGray(image.Rect(0, 0, 1, 1)))
	copy(data[16:24], "\x00\x10\x00\x00\x00\x10\x00\x00") // IHDR: 1048576 by 1048576
	binary.BigEndian.PutUint32(data[29:], crc32.ChecksumIEEE(data[12:29]))
	if _, err := decodePicture(data); err == nil || !strings.Contains(err.Error(), "1048576 by 1048576") {
		t.Errorf("a picture of 2^40 pixels: %v", err)
	}
}
