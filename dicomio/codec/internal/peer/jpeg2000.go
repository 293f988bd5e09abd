package peer

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// OpenJPEG codes the picture as a bare codestream and gives the file's path.
func OpenJPEG(t testing.TB, p Picture, options ...string) string {
	t.Helper()
	folder := t.TempDir()
	in, out := filepath.Join(folder, "in.rawl"), filepath.Join(folder, "out.j2k")
	Write(t, in, p.Native())
	sign := "u"
	if p.Signed {
		sign = "s"
	}
	Run(t, "opj_compress", append([]string{"-i", in, "-o", out, "-F", fmt.Sprintf("%d,%d,1,%d,%s", p.Columns, p.Rows, p.Bits, sign)}, options...)...)
	return out
}

// OpenJPH codes the picture with OpenJPH and gives the file's path. PGM knows no
// signs, and OpenJPH 0.9 reads raw samples as unsigned whatever it is told: a
// signed picture is coded shifted up, and its header then says what the level
// shift did (T.800 G.1), that the samples are signed.
func OpenJPH(t testing.TB, p Picture, options ...string) string {
	t.Helper()
	folder := t.TempDir()
	in, out := filepath.Join(folder, "in.pgm"), filepath.Join(folder, "out.j2c")
	Write(t, in, pgm(p))
	Run(t, "ojph_compress", append([]string{"-i", in, "-o", out}, options...)...)
	if p.Signed {
		coded, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		const ssiz = 42 // SOC, then 40 bytes of SIZ
		coded[ssiz] |= 0x80
		Write(t, out, coded)
	}
	return out
}

func pgm(p Picture) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "P5\n%d %d\n%d\n", p.Columns, p.Rows, 1<<p.Bits-1)
	lowest := int32(0)
	if p.Signed {
		lowest = -1 << (p.Bits - 1)
	}
	for _, s := range p.Samples {
		s -= lowest
		if p.Bits > 8 {
			b.Write(binary.BigEndian.AppendUint16(nil, uint16(s)))
		} else {
			b.WriteByte(byte(s))
		}
	}
	return b.Bytes()
}

// PGM reads the samples of a picture that a program wrote as PGM.
func PGM(t testing.TB, path string, p Picture) []int32 {
	t.Helper()
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	width := (p.Bits + 7) / 8
	body := file[len(file)-width*len(p.Samples):]
	samples := make([]int32, len(p.Samples))
	for i := range samples {
		for _, b := range body[i*width:][:width] {
			samples[i] = samples[i]<<8 | int32(b)
		}
	}
	return samples
}
