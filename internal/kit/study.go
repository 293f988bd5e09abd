package kit

import (
	"archive/zip"
	"bytes"
	"cmp"
	"crypto/sha256"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// UID makes a DICOM UID from a name: the same name gives the same UID (PS3.5 B.2).
func UID(name string) string {
	sum := sha256.Sum256([]byte(name))
	return "2.25." + new(big.Int).SetBytes(sum[:15]).String()
}

// Study is a study to be written. Zero fields take values that make a plausible
// study of a brain.
type Study struct {
	Name        string // makes the UIDs; "study" when empty
	UID         string // from Name when empty
	PatientName string
	PatientID   string
	BirthDate   string
	Accession   string
	Description string
	Series      []Series
}

// Series is a stack of slices. Zero fields make an axial T1 of the brain.
type Series struct {
	Name        string // makes the UIDs; its place in the study when empty
	UID         string
	Number      int
	Modality    string    // MR
	SOPClass    string    // MR Image Storage
	ImageType   string    // ORIGINAL\PRIMARY\M\ND
	BodyPart    *string   // BRAIN; a pointer to "" leaves it out
	Description string    // T1 SE AX, with " POST" when Agent is set
	Protocol    string    // Description
	Agent       string    // contrast/bolus agent; empty: none
	Timing      Timing    // a T1 spin echo
	Stack       Stack     // where the slices lie
	Images      []Image   // one a slice, in order along the stack
	Syntax      string    // transfer syntax; ExplicitLittle
	Enhanced    bool      // one enhanced multi-frame file; Extra of an image goes into its frame's groups
	Parts       int       // of a concatenation, into which the enhanced file is cut; 1
	Extra       []Element // added to every instance, replacing what stands there

	before int // images in earlier parts
}

// Timing is how the series was scanned. The zero value is a T1 spin echo.
type Timing struct {
	Scanning string  // SE
	Variant  string  // SK
	Type     string  // 2D
	TR, TE   float64 // ms; 550, 11
	TI       float64 // ms; left out when 0
	Flip     float64 // degrees; 90
}

// Stack is the geometry (PS3.3 C.7.6.2.1.1). Slice i lies at Origin + i·Step.
type Stack struct {
	Right, Down [3]float64 // directions of growing column and row index; axial
	Origin      [3]float64 // centre of the first pixel of the first slice, mm
	Step        [3]float64 // from slice to slice, mm; along Right × Down by Between
	Between     float64    // mm; so that the stack spans 120 mm, at least 1
	Spacing     [2]float64 // between rows, between columns, mm; 240 mm over the larger side
	Thickness   float64    // mm; Between
}

// Image is one slice as it is stored.
type Image struct {
	Rows, Columns int
	Stored        []int   // Rows × Columns stored values, row by row
	Bits          int     // bits stored; 16
	Allocated     int     // bits allocated; 8 when Bits is at most 8, else 16
	Signed        bool    // pixel representation
	Photometric   string  // MONOCHROME2
	Slope         float64 // rescale slope; left out when 0
	Intercept     float64
	Extra         []Element // of this instance only
}

// File is one written instance.
type File struct {
	Name     string
	Data     []byte
	Elements []Element // what Data was made of, for tests that damage it
}

// Files writes the study, one file an instance.
func (s Study) Files() []File {
	s = s.filled()
	var files []File
	for n, series := range s.Series {
		series = series.filled(s, n)
		if series.Enhanced {
			for p, part := range series.parts(s) {
				elements := s.enhanced(part)
				files = append(files, File{
					Name: fmt.Sprintf("S%03d/enhanced%s.dcm", n+1, strings.Repeat("+", p)),
					Data: EncodeFile(series.Syntax, elements), Elements: elements,
				})
			}
			continue
		}
		for i, image := range series.Images {
			elements := s.instance(series, image, i)
			files = append(files, File{
				Name: fmt.Sprintf("S%03d/I%04d.dcm", n+1, i+1),
				Data: EncodeFile(series.Syntax, elements), Elements: elements,
			})
		}
	}
	return files
}

// Element gives the last element with this tag.
func (f File) Element(tag uint32) Element {
	for _, e := range slices.Backward(f.Elements) {
		if e.Tag == tag {
			return e
		}
	}
	return Element{}
}

// With gives the elements with some more, which replace what stands there.
func (f File) With(elements ...Element) []Element {
	return append(slices.Clone(f.Elements), elements...)
}

// WriteFiles writes files below a folder.
func WriteFiles(dir string, files []File) error {
	for _, file := range files {
		path := filepath.Join(dir, filepath.FromSlash(file.Name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return fmt.Errorf("write study: %w", err)
		}
		if err := os.WriteFile(path, file.Data, 0o644); err != nil {
			return fmt.Errorf("write study: %w", err)
		}
	}
	return nil
}

// WriteDir writes the study below a folder, which is made if it is missing.
func (s Study) WriteDir(dir string) error { return WriteFiles(dir, s.Files()) }

// Zip gives the study as an archive.
func (s Study) Zip() []byte { return ZipFiles(s.Files()) }

// ZipFiles packs files into an archive.
func ZipFiles(files []File) []byte { return archived(files, zip.Deflate) }

// StoreFiles puts files into an archive without compressing them: its bytes do
// not depend on the version of a packer.
func StoreFiles(files []File) []byte { return archived(files, zip.Store) }

func archived(files []File, method uint16) []byte {
	var out bytes.Buffer
	archive := zip.NewWriter(&out)
	for _, file := range files {
		entry, err := archive.CreateHeader(&zip.FileHeader{Name: file.Name, Method: method, Modified: time.Unix(1e9, 0).UTC()})
		if err != nil {
			panic(err) // a bytes.Buffer takes everything
		}
		_, _ = entry.Write(file.Data)
	}
	_ = archive.Close()
	return out.Bytes()
}

func (s Study) filled() Study {
	s.Name = cmp.Or(s.Name, "study")
	s.UID = cmp.Or(s.UID, UID(s.Name))
	s.PatientName = cmp.Or(s.PatientName, "Kit^Patient")
	s.PatientID = cmp.Or(s.PatientID, "KIT1")
	s.BirthDate = cmp.Or(s.BirthDate, "19700101")
	s.Accession = cmp.Or(s.Accession, "A1")
	s.Description = cmp.Or(s.Description, "MR examination")
	return s
}

func (r Series) filled(s Study, n int) Series {
	r.Name = cmp.Or(r.Name, fmt.Sprint(n+1))
	r.UID = cmp.Or(r.UID, UID(s.Name+"/"+r.Name))
	r.Number = cmp.Or(r.Number, n+1)
	r.Modality = cmp.Or(r.Modality, "MR")
	if r.Enhanced {
		r.SOPClass = cmp.Or(r.SOPClass, "1.2.840.10008.5.1.4.1.1.4.1")
	}
	r.SOPClass = cmp.Or(r.SOPClass, "1.2.840.10008.5.1.4.1.1.4")
	r.ImageType = cmp.Or(r.ImageType, `ORIGINAL\PRIMARY\M\ND`)
	if r.BodyPart == nil {
		brain := "BRAIN"
		r.BodyPart = &brain
	}
	if r.Description == "" {
		r.Description = "T1 SE AX"
		if r.Agent != "" {
			r.Description += " POST"
		}
	}
	r.Protocol = cmp.Or(r.Protocol, r.Description)
	r.Syntax = cmp.Or(r.Syntax, ExplicitLittle)
	r.Timing.Scanning = cmp.Or(r.Timing.Scanning, "SE")
	r.Timing.Variant = cmp.Or(r.Timing.Variant, "SK")
	r.Timing.Type = cmp.Or(r.Timing.Type, "2D")
	r.Timing.TR = cmp.Or(r.Timing.TR, 550)
	r.Timing.TE = cmp.Or(r.Timing.TE, 11)
	r.Timing.Flip = cmp.Or(r.Timing.Flip, 90)
	r.Stack = r.Stack.filled(r.Images)
	return r
}

func (k Stack) filled(images []Image) Stack {
	if k.Right == k.Down {
		k.Right, k.Down = [3]float64{1, 0, 0}, [3]float64{0, 1, 0}
	}
	if k.Between == 0 {
		k.Between = max(1, 120/float64(max(1, len(images)-1)))
	}
	if k.Step == [3]float64{} {
		for i := range 3 {
			a, b := (i+1)%3, (i+2)%3
			k.Step[i] = k.Between * (k.Right[a]*k.Down[b] - k.Right[b]*k.Down[a])
		}
	}
	if k.Spacing == [2]float64{} && len(images) > 0 {
		mm := 240 / float64(max(images[0].Rows, images[0].Columns))
		k.Spacing = [2]float64{mm, mm}
	}
	k.Thickness = cmp.Or(k.Thickness, k.Between)
	return k
}

// instance lists the elements of one slice (PS3.3 A.4).
func (s Study) instance(r Series, image Image, i int) []Element {
	k := r.Stack
	position := k.position(i)
	elements := []Element{
		{0x00080005, "CS", "ISO_IR 192"}, {0x00080008, "CS", r.ImageType}, {0x00080016, "UI", r.SOPClass},
		{0x00080018, "UI", UID(fmt.Sprintf("%s/%s/%d", s.Name, r.Name, i+1))},
		{0x00080020, "DA", "20260102"}, {0x00080021, "DA", "20260102"}, {0x00080023, "DA", "20260102"},
		{0x00080030, "TM", "101500"}, {0x00080033, "TM", "101500"}, {0x00080050, "SH", s.Accession},
		{0x00080060, "CS", r.Modality}, {0x00080070, "LO", "Kit"}, {0x00080090, "PN", ""},
		{0x00081030, "LO", s.Description}, {0x0008103E, "LO", r.Description},
		{0x00100010, "PN", s.PatientName}, {0x00100020, "LO", s.PatientID}, {0x00100030, "DA", s.BirthDate}, {0x00100040, "CS", "O"},
		{0x00180020, "CS", r.Timing.Scanning}, {0x00180021, "CS", r.Timing.Variant}, {0x00180022, "CS", ""},
		{0x00180023, "CS", r.Timing.Type}, {0x00180050, "DS", number(k.Thickness)},
		{0x00180080, "DS", number(r.Timing.TR)}, {0x00180081, "DS", number(r.Timing.TE)},
		{0x00180088, "DS", number(k.Between)}, {0x00180091, "IS", "1"}, {0x00181030, "LO", r.Protocol},
		{0x00181314, "DS", number(r.Timing.Flip)}, {0x00185100, "CS", "HFS"},
		{0x0020000D, "UI", s.UID}, {0x0020000E, "UI", r.UID}, {0x00200010, "SH", "1"},
		{0x00200011, "IS", fmt.Sprint(r.Number)}, {0x00200012, "IS", "1"}, {0x00200013, "IS", fmt.Sprint(i + 1)},
		{0x00200032, "DS", number(position[:]...)}, {0x00200037, "DS", number(append(k.Right[:], k.Down[:]...)...)},
		{0x00200052, "UI", UID(s.Name + "/frame of reference")}, {0x00201040, "LO", ""},
		{0x00280030, "DS", number(k.Spacing[:]...)},
	}
	if *r.BodyPart != "" {
		elements = append(elements, Element{0x00180015, "CS", *r.BodyPart})
	}
	if r.Agent != "" {
		elements = append(elements, Element{0x00180010, "LO", r.Agent})
	}
	if r.Timing.TI != 0 {
		elements = append(elements, Element{0x00180082, "DS", number(r.Timing.TI)})
	}
	elements = append(elements, image.elements(r.Syntax)...)
	return append(append(elements, r.Extra...), image.Extra...)
}

// number writes decimal strings.
func number(values ...float64) string {
	texts := make([]string, len(values))
	for j, v := range values {
		texts[j] = fmt.Sprintf("%.10g", v)
	}
	return strings.Join(texts, `\`)
}

// position is where slice i lies.
func (k Stack) position(i int) (at [3]float64) {
	for j := range 3 {
		at[j] = k.Origin[j] + float64(i)*k.Step[j]
	}
	return at
}
