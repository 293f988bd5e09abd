package daemon

import (
	"errors"
	"fmt"
	"image"
	"time"

	"neurotriage"
	"neurotriage/events"
	"neurotriage/report"
)

// objects makes the DICOM objects of a reading. What cannot be made is logged
// and left out.
func (i illustrator) objects(reading neurotriage.Reading, pictures []*image.RGBA) []events.Media {
	made, err := i.tryObjects(reading, pictures)
	if err != nil {
		i.log.Error("a finding has no report object", "finding", reading.Finding.ID, "made", len(made), "err", err)
	}
	media := make([]events.Media, len(made))
	for n, object := range made {
		media[n] = events.Media{
			Name: object.SOPInstanceUID + ".dcm", ContentType: "application/dicom", Data: object.Bytes,
			Report: neurotriage.ReportRef{Kind: object.Kind, SOPInstanceUID: object.SOPInstanceUID},
		}
	}
	return media
}

// tryObjects stands in a goroutine of its own, where the worker's recover does
// not reach: a panic would end the daemon. Its words may quote a header and are
// left out.
func (i illustrator) tryObjects(reading neurotriage.Reading, pictures []*image.RGBA) (made []report.Object, err error) {
	defer func() {
		if value := recover(); value != nil {
			made, err = nil, errors.Join(err, fmt.Errorf("making report objects: panic (%T)", value))
		}
	}()
	if pictures == nil {
		pictures = []*image.RGBA{} // there are none to draw
	}
	return report.Objects(reading, report.Context{Version: i.version, Zone: time.Local, Pictures: pictures})
}
