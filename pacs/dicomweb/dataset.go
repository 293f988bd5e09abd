package dicomweb

import (
	"encoding/json"
	"fmt"
)

// Dataset is a data set in the DICOM JSON model (PS3.18 F.2), by tag: eight
// hexadecimal digits in capitals.
type Dataset map[string]Element

// Element is one attribute. Values are strings, numbers, the parts of a
// person's name, or data sets, as the JSON says.
type Element struct {
	VR    string `json:"vr"`
	Value []any  `json:"Value,omitempty"`
}

// Attribute makes an element.
func Attribute(vr string, values ...any) Element { return Element{VR: vr, Value: values} }

// Text is the first value of an attribute, or empty; of a person's name its
// alphabetic group.
func (d Dataset) Text(tag string) string {
	if len(d[tag].Value) == 0 {
		return ""
	}
	switch value := d[tag].Value[0].(type) {
	case nil:
		return ""
	case map[string]any:
		name, _ := value["Alphabetic"].(string)
		return name
	default:
		return fmt.Sprint(value)
	}
}

// Number is the first value of an attribute as a whole number.
func (d Dataset) Number(tag string) (int, bool) {
	if len(d[tag].Value) == 0 {
		return 0, false
	}
	number, ok := d[tag].Value[0].(float64)
	return int(number), ok
}

// Items are the items of a sequence.
func (d Dataset) Items(tag string) []Dataset {
	var items []Dataset
	for _, value := range d[tag].Value {
		text, err := json.Marshal(value)
		var item Dataset
		if err == nil && json.Unmarshal(text, &item) == nil {
			items = append(items, item)
		}
	}
	return items
}

func parseDatasets(text []byte) ([]Dataset, error) {
	var list []Dataset
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, fmt.Errorf("%w: reading it as DICOM JSON: %w", ErrBroken, err)
	}
	return list, nil
}

// parseDataset reads one data set, which some archives put into a list.
func parseDataset(text []byte) (Dataset, error) {
	var one Dataset
	if err := json.Unmarshal(text, &one); err == nil {
		return one, nil
	}
	list, err := parseDatasets(text)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return list[0], nil
}
