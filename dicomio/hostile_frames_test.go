package dicomio_test

import (
	"bytes"
	"fmt"
	"iter"
	"math"
	"strings"

	"neurotriage/internal/kit"
)

// horde is an enhanced image of many frames of one pixel, whose groups a function
// writes.
func horde(n int, frame func(n int) []kit.Element, extra ...kit.Element) []byte {
	images := make([]kit.Image, n)
	for i := range images {
		images[i] = kit.Image{Rows: 1, Columns: 1, Bits: 8, Stored: []int{i & 255}, Extra: frame(i)}
	}
	return kit.Study{Series: []kit.Series{{Enhanced: true, Images: images, Extra: extra}}}.Files()[0].Data
}

// hordes are images whose many frames each differ from all others in what is
// compared: work must not grow with the square of their number, nor by what every
// one of them repeats.
func hordes() iter.Seq2[string, []byte] {
	const n = 20_000
	content := func(elements ...kit.Element) []kit.Element {
		return []kit.Element{kit.Macro(frameContent, elements...)}
	}
	turned := func(n int) []kit.Element {
		sin, cos := math.Sincos(float64(n) * 2 * math.Pi / 5000)
		return []kit.Element{kit.Macro(0x00209116, ds(imageOrientation, fmt.Sprintf(`%.6f\%.6f\0\0\0\1`, cos, sin)))}
	}
	shift := func(n int, of string) []kit.Element {
		return []kit.Element{kit.Macro(0x00209113, ds(imagePosition, fmt.Sprintf(of, n)))}
	}
	many := make([]uint32, 4000)
	dimension := make([]kit.Item, n)
	for i := range dimension {
		dimension[i] = kit.Dimension(uint32(0x00180000+i), frameContent)
	}
	return func(yield func(string, []byte) bool) {
		_ = yield("every frame turned another way", horde(n, turned)) &&
			yield("every frame a stack", horde(n, func(n int) []kit.Element { return content(sh(stackID, fmt.Sprint(n))) })) &&
			yield("every frame a point in time", horde(n, func(n int) []kit.Element { return content(ul(timeIndex, uint32(n))) })) &&
			yield("every frame an echo", horde(n, func(n int) []kit.Element { return []kit.Element{kit.Macro(mrEcho, fd(effectiveTE, float64(n)))} })) &&
			yield("every frame timed another way, in many words", horde(n, func(n int) []kit.Element {
				return []kit.Element{kit.Macro(0x00189112, ds(0x00180080, fmt.Sprint(n)), ds(0x00181314, "9"))}
			}, lo(0x0008103E, strings.Repeat("t1 post c+ aA", 4_000)))) &&
			yield("all frames in one place, counted along another dimension", horde(n, func(n int) []kit.Element {
				return append(shift(0, `0\0\%d`), content(ul(indexValues, uint32(n/2)))...)
			}, kit.Element{Tag: dimensions, VR: "SQ", Value: []kit.Item{kit.Dimension(0x00189079, frameContent)}})) &&
			yield("thousands of dimensions", horde(1000, func(int) []kit.Element { return content(ul(indexValues, many...)) },
				kit.Element{Tag: dimensions, VR: "SQ", Value: dimension})) &&
			yield("places that are NaN", horde(n, func(n int) []kit.Element { return shift(n, `NaN\0\%d`) })) &&
			yield("places without end", horde(n, func(n int) []kit.Element { return shift(n%300, `0\Inf\1e%d`) })) &&
			yield("axes of no length", horde(n, func(int) []kit.Element {
				return []kit.Element{kit.Macro(0x00209116, ds(imageOrientation, `0\0\0\0\0\0`))}
			})) &&
			yield("rescale of another slope each, NaN at last", horde(n, func(n int) []kit.Element {
				slope := fmt.Sprint(1 + n)
				if n == 19_999 {
					slope = "NaN"
				}
				return []kit.Element{kit.Macro(0x00289145, ds(0x00281053, slope), ds(0x00281052, "-Inf"))}
			})) &&
			yield("a concatenation of 65,535 parts", horde(2, func(int) []kit.Element { return nil }, ui(0x00209161, "1.2"),
				us(0x00209162, 65535), us(0x00209163, 65535), ul(0x00209228, math.MaxUint32))) &&
			yield("a study of slices each turned another way", archiveOfTurns(4000)) &&
			yield("private sequences without a VR in one another", spliced(kit.ExplicitLittle, unnamedBoxes())) &&
			yield("a thousand private headers", spliced(kit.ExplicitLittle, bytes.Repeat(joined(longHead(0x00291010, "OB", 16<<10),
				make([]byte, 16<<10)), 1000)))
	}
}

// archiveOfTurns is a classic series without two parallel slices.
func archiveOfTurns(n int) []byte {
	file := sound()
	files := make([]kit.File, n)
	for i := range files {
		sin, cos := math.Sincos(float64(i) * math.Pi / 2000)
		uid := fmt.Sprintf("1.2.3.%d", i)
		files[i] = named(uid, changed(file, ui(sopUID, uid), ds(imageOrientation, fmt.Sprintf(`%.6f\%.6f\0\0\0\1`, cos, sin))))
	}
	return kit.ZipFiles(files)
}

// unnamedBoxes fills 16 MB with functional groups whose private sequences hold each
// other: to copy each of them would cost the file's size for every level.
func unnamedBoxes() []byte {
	box := func(content []byte) []byte {
		return joined(mark(0x2005140F, uint32(8+len(content))), mark(0xFFFEE000, uint32(len(content))), content)
	}
	inner := make([]byte, 900<<10)
	copy(inner, mark(0x00091001, uint32(len(inner)-8)))
	for range 60 {
		inner = box(inner)
	}
	inner = inner[8:] // the outermost one is explicit
	one := joined(mark(0xFFFEE000, 0xFFFFFFFF), longHead(0x2005140F, "UN", uint32(len(inner))), inner, mark(0xFFFEE00D, 0))
	return joined(longHead(0x52009230, "SQ", 0xFFFFFFFF), bytes.Repeat(one, 16), mark(0xFFFEE0DD, 0))
}
