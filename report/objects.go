package report

import (
	"cmp"
	"errors"
	"fmt"
	"image"
	"time"

	"neurotriage"
	"neurotriage/dicomio"
)

// The kinds of objects, as they stand in Finding.Reports.
const (
	KindSR        = "sr"
	KindKeyImage  = "key_image"
	KindKeyObject = "key_object"
)

// Object is one DICOM object made from a reading.
type Object struct {
	Kind           string
	SOPClassUID    string
	SOPInstanceUID string
	Bytes          []byte // a file of PS3.10, explicit VR little endian
}

// Context is what objects need beside the reading.
type Context struct {
	Version string         // of the program
	Zone    *time.Location // of dates and times, where the study names no other; nil: UTC
	// Pictures are the key images as DrawKeyImages gave them; nil: they are drawn.
	Pictures []*image.RGBA
}

// Objects makes the DICOM objects of a reading: a structured report; where a
// tumour is suspected, a secondary capture of each key slice; for a flagged study
// a key object selection. Captures come first, the report last: when it arrives,
// all that it references is there. Equal
// readings and contexts give equal bytes, and the UIDs follow from the finding's
// id alone. A reading without a study's headers gives none: nobody could tell
// whose report it is.
//
// What could be made comes beside an error that tells what could not.
func Objects(reading neurotriage.Reading, context Context) ([]Object, error) {
	if !described(reading) {
		return nil, nil
	}
	d := newDocument(reading, context)
	var failed error
	pictures := context.Pictures
	switch {
	case len(d.suspected()) == 0: // evidence for a tumour that nobody suspects would mislead
		pictures = nil
	case pictures == nil:
		pictures, failed = DrawKeyImages(reading)
	}
	var objects []Object
	add := func(kind, what string, set dicomio.Dataset) bool {
		object := Object{Kind: kind, SOPClassUID: classes[kind], SOPInstanceUID: d.uid(what)}
		var err error
		if object.Bytes, err = dicomio.Encode(set); err != nil {
			failed = errors.Join(failed, fmt.Errorf("make the %s of finding %s: %w", kind, reading.Finding.ID, err))
			return false
		}
		objects = append(objects, object)
		return true
	}
	for key, picture := range pictures {
		if picture != nil && key < len(reading.Keys) && add(KindKeyImage, captureName(key), d.capture(key, picture)) {
			d.captures = append(d.captures, d.captured(key))
		}
	}
	if reading.Finding.Flags.GliomaReview && len(d.keys) > 0 {
		add(KindKeyObject, "key object", d.keyObject())
	}
	add(KindSR, "sr", d.structured())
	return objects, failed
}

func described(reading neurotriage.Reading) bool {
	study := reading.Study
	return study.UID != "" && study.UID == reading.Finding.StudyInstanceUID &&
		(study.Patient != (neurotriage.Patient{}) || study.Date != "" || len(study.Series) > 0)
}

// classes are the SOP classes (PS3.4 B.5).
var classes = map[string]string{
	KindSR:        "1.2.840.10008.5.1.4.1.1.88.34", // Comprehensive 3D SR
	KindKeyImage:  "1.2.840.10008.5.1.4.1.1.7",     // Secondary Capture Image
	KindKeyObject: "1.2.840.10008.5.1.4.1.1.88.59", // Key Object Selection Document
}

// document is what the objects of one reading share.
type document struct {
	reading  neurotriage.Reading
	finding  neurotriage.Finding
	study    neurotriage.Study
	version  string
	device   string    // UID of the model as a device
	at       time.Time // when the reading was finished, in the zone that is written
	offset   string    // from UTC, when the study says its own
	album    album
	keys     []reference // key slices, those that can be referenced
	captures []reference // secondary captures that were made
}

func newDocument(reading neurotriage.Reading, context Context) *document {
	f := reading.Finding
	d := &document{
		reading: reading, finding: f, study: reading.Study, album: newAlbum(reading.Study),
		version: cmp.Or(context.Version, "unknown"), device: neurotriage.DeviceUID(f.Model.Digest),
		at: f.Finished.In(cmp.Or(context.Zone, time.UTC)),
	}
	// (0008,0201) holds for every time of an object, so ours follow the study's.
	if zone, err := time.Parse("-0700", d.study.UTCOffset); err == nil {
		d.at, d.offset = f.Finished.In(zone.Location()), d.study.UTCOffset
	}
	for _, key := range f.KeySlices {
		if r, known := d.album.find(key.SOPInstanceUID, key.Frame); known {
			d.keys = append(d.keys, r)
		}
	}
	return d
}

func (d *document) uid(what string) string { return neurotriage.DerivedUID(d.finding.ID, what) }

// seriesUID is the series of the objects of one kind.
func seriesUID(finding, kind string) string { return neurotriage.DerivedUID(finding, kind+" series") }
