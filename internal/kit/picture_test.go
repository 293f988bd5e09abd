package kit_test

import (
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"testing"

	"neurotriage/internal/kit"
)

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestPicture(t *testing.T) {
	path := filepath.Join(t.TempDir(), "picture.png")
	picture := image.NewGray(image.Rect(0, 0, 3, 2))
	picture.SetGray(2, 1, color.Gray{Y: 200})
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := png.Encode(file, picture); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := kit.Picture(path)
	if err != nil || got.Rows != 2 || got.Columns != 3 || got.Bits != 8 || got.Stored[5] != 200 || got.Stored[0] != 0 {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := kit.Picture(path + ".missing"); err == nil {
		t.Error("a missing picture is no error")
	}
}
