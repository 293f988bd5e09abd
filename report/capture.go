package report

import (
	"fmt"
	"image"

	"neurotriage"
	"neurotriage/dicomio"
)

func captureName(key int) string { return fmt.Sprintf("key image %d", key+1) }

// captured is the reference of a capture.
func (d *document) captured(key int) reference {
	return reference{series: seriesUID(d.finding.ID, KindKeyImage), class: classes[KindKeyImage], instance: d.uid(captureName(key))}
}

// capture is the secondary capture of a key image (PS3.3 A.8.1): what the picture
// file shows, with all its words burnt in, as uncompressed RGB that every archive
// and viewer takes.
func (d *document) capture(key int, picture *image.RGBA) dicomio.Dataset {
	view := d.reading.Keys[key]
	series := seriesOf(d.study, view.Slice.SeriesInstanceUID)
	size := picture.Bounds().Size()
	set := append(d.common(KindKeyImage, captureName(key), key+1),
		cs(0x00080008, `DERIVED\SECONDARY`), cs(0x00080064, "WSD"), cs(0x00180015, "BRAIN"),
		cs(0x00200020, orientation[series.Plane]),
		st(0x00082111, d.derivation(view)), activationMap.sequence(0x00089215),
		el(0x00204000, "LT", line(disclaimer+" "+verdict(d.finding), 10240)),
		// The text names the instance, by which an archive finds the patient.
		cs(0x00280301, "YES"),
		us(0x00280002, 3), cs(0x00280004, "RGB"), us(0x00280006, 0), us(0x00280010, size.Y), us(0x00280011, size.X),
		us(0x00280100, 8), us(0x00280101, 8), us(0x00280102, 7), us(0x00280103, 0),
		el(0x7FE00010, "OB", rgb(picture)),
	)
	if source, known := d.album.find(view.Slice.SOPInstanceUID, view.Slice.Frame); known {
		set = append(set, sq(0x00082112, append(source.item(), sourceImage.sequence(0x0040A170))))
	}
	// Both panels show the slice in isotropic pixels of this size, so that a
	// distance may be measured within either. The place in the patient would hold
	// for one panel only and is left out.
	if _, _, perMM := panelSize(view.Slice); perMM > 0 {
		set = append(set, el(0x00280030, "DS", decimal(1/perMM)+`\`+decimal(1/perMM)))
	}
	return set
}

// orientation tells the directions of rows and of columns of a picture in
// canonical orientation (PS3.3 C.7.6.1.1.1).
var orientation = map[neurotriage.Plane]string{
	neurotriage.Axial: `L\P`, neurotriage.Coronal: `L\F`, neurotriage.Sagittal: `P\F`,
}

func (d *document) derivation(view neurotriage.KeyImage) string {
	return fmt.Sprintf("Left: the slice, resampled to isotropic pixels and windowed to %s..%s. Right: the same under the class activation map of %s, by model %s %s.",
		decimal(view.Window[0]), decimal(view.Window[1]), spaced(view.Label), d.finding.Model.Name, d.finding.Model.Version)
}

// rgb gives the picture's bytes without the fourth channel.
func rgb(picture *image.RGBA) []byte {
	size := picture.Bounds().Size()
	out := make([]byte, 0, 3*size.X*size.Y)
	for y := range size.Y {
		row := picture.Pix[y*picture.Stride:][:4*size.X]
		for x := 0; x < len(row); x += 4 {
			out = append(out, row[x], row[x+1], row[x+2])
		}
	}
	return out
}
