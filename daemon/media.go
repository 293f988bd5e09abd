package daemon

import (
	"bytes"
	"fmt"
	"log/slog"

	"neurotriage"
	"neurotriage/events"
	"neurotriage/report"
)

// illustrator makes what is stored beside a finding: the reading in numbers and
// a picture of each key slice, under the names that the worklist page asks for.
type illustrator struct{ log *slog.Logger }

// media never fails for a picture that cannot be drawn: the finding matters
// more than its illustration.
func (i illustrator) media(reading neurotriage.Reading) ([]events.Media, error) {
	var text bytes.Buffer
	if err := report.WriteReading(&text, reading); err != nil {
		return nil, err
	}
	media := []events.Media{{Name: "reading.json", ContentType: "application/json", Data: text.Bytes()}}
	for key := range reading.Keys {
		var picture bytes.Buffer
		if err := report.WriteKeyImage(&picture, reading, key); err != nil {
			i.log.Warn("a key slice has no picture", "finding", reading.Finding.ID, "key", key+1, "err", err)
			continue
		}
		media = append(media, events.Media{Name: fmt.Sprintf("key-%d.png", key+1), ContentType: "image/png", Data: picture.Bytes()})
	}
	return media, nil
}
