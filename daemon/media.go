package daemon

import (
	"bytes"
	"fmt"
	"log/slog"
	"sync"

	"neurotriage"
	"neurotriage/events"
	"neurotriage/report"
	"neurotriage/worklist"
)

// illustrator makes what is stored beside a finding: the reading in numbers and
// a picture of each key slice, under the names that the worklist page asks for.
type illustrator struct{ log *slog.Logger }

// media never fails for a picture that cannot be drawn: the finding matters
// more than its illustration. Pictures are drawn side by side, since the study's
// sender waits for them.
func (i illustrator) media(reading neurotriage.Reading) ([]events.Media, error) {
	var text bytes.Buffer
	if err := report.WriteReading(&text, reading); err != nil {
		return nil, err
	}
	pictures := make([][]byte, len(reading.Keys))
	var drawing sync.WaitGroup
	for key := range reading.Keys {
		drawing.Go(func() {
			picture, err := draw(reading, key)
			if err != nil {
				i.log.Warn("a key slice has no picture", "finding", reading.Finding.ID, "key", key+1, "err", err)
			}
			pictures[key] = picture
		})
	}
	drawing.Wait()
	media := []events.Media{{Name: "reading.json", ContentType: "application/json", Data: text.Bytes()}}
	for key, picture := range pictures {
		if picture != nil {
			media = append(media, events.Media{Name: fmt.Sprintf("key-%d.png", key+1), ContentType: "image/png", Data: picture})
		}
	}
	if packed := worklist.PackKeys(reading.Keys); len(packed) > 0 {
		media = append(media, events.Media{Name: worklist.KeysName, ContentType: "application/octet-stream", Data: packed})
	}
	return media, nil
}

// draw stands in a goroutine of its own, where the worker's recover does not
// reach: a panic would end the daemon.
func draw(reading neurotriage.Reading, key int) (picture []byte, err error) {
	defer func() {
		if value := recover(); value != nil {
			picture, err = nil, fmt.Errorf("drawing key image %d: panic (%T)", key+1, value)
		}
	}()
	var out bytes.Buffer
	if err := report.WriteKeyImage(&out, reading, key); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
