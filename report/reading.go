package report

import (
	"encoding/json"
	"fmt"
	"io"

	"neurotriage"
)

// WriteReading writes the reading as indented JSON with a line feed at its end:
// the finding, every series' verdict, every slice's probabilities, and where
// the key images and their activation maps lie. Patient and pixels stay out;
// the study is known by its UID and accession number.
func WriteReading(w io.Writer, reading neurotriage.Reading) error {
	reading.Study.Patient, reading.Study.Referring = neurotriage.Patient{}, ""
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false) // descriptions hold < and & that are meant to be read
	if err := encoder.Encode(reading); err != nil {
		return fmt.Errorf("write the reading of study %s: %w", reading.Finding.StudyInstanceUID, err)
	}
	return nil
}
