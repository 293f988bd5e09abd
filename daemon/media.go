package daemon

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"log/slog"
	"sync"

	"neurotriage"
	"neurotriage/events"
	"neurotriage/report"
	"neurotriage/worklist"
)

// illustrator makes what is stored beside a finding: the reading in numbers, a
// picture of each key slice, under the names that the worklist page asks for,
// and the objects for the archive.
type illustrator struct {
	log     *slog.Logger
	version string // of the program
}

// headersName is the study's headers with the patient, for what is sent to
// systems that know the patient. No page shows it.
const headersName = "study.json"

// media never fails for a picture that cannot be drawn or an object that cannot
// be made: the finding matters more than its illustration. All are made side by
// side, since the study's sender waits for them.
func (i illustrator) media(reading neurotriage.Reading) ([]events.Media, error) {
	pictures, err := report.DrawKeyImages(reading)
	if err != nil {
		i.log.Warn("a key slice has no picture", "finding", reading.Finding.ID, "err", err)
	}
	var drawn, objects []events.Media
	var making sync.WaitGroup
	making.Go(func() { drawn = i.encode(reading, pictures) })
	making.Go(func() { objects = i.objects(reading, pictures) })
	making.Wait()
	for _, object := range objects {
		reading.Finding.Reports = append(reading.Finding.Reports, object.Report)
	}
	var text bytes.Buffer
	if err := report.WriteReading(&text, reading); err != nil {
		return nil, err
	}
	headers, err := json.Marshal(reading.Study)
	if err != nil {
		return nil, fmt.Errorf("write the headers of study %s: %w", reading.Study.UID, err)
	}
	media := []events.Media{
		{Name: "reading.json", ContentType: "application/json", Data: text.Bytes()},
		{Name: headersName, ContentType: "application/json", Data: headers},
	}
	media = append(media, drawn...)
	if packed := worklist.PackKeys(reading.Keys); len(packed) > 0 {
		media = append(media, events.Media{Name: worklist.KeysName, ContentType: "application/octet-stream", Data: packed})
	}
	return append(media, objects...), nil
}

// encode writes the pictures that could be drawn.
func (i illustrator) encode(reading neurotriage.Reading, pictures []*image.RGBA) []events.Media {
	encoded := make([]bytes.Buffer, len(pictures))
	var encoding sync.WaitGroup
	for key, picture := range pictures {
		if picture == nil {
			continue
		}
		encoding.Go(func() {
			if err := report.WritePNG(&encoded[key], picture); err != nil {
				i.log.Warn("a key slice has no picture", "finding", reading.Finding.ID, "key", key+1, "err", err)
				encoded[key].Reset()
			}
		})
	}
	encoding.Wait()
	var media []events.Media
	for key := range encoded {
		if encoded[key].Len() > 0 {
			media = append(media, events.Media{Name: fmt.Sprintf("key-%d.png", key+1), ContentType: "image/png", Data: encoded[key].Bytes()})
		}
	}
	return media
}
