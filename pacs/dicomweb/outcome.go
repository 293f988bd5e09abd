package dicomweb

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strings"
)

const (
	typeXML          = "application/dicom+xml"
	tagOtherFailures = "0008119A"
)

// outcome is what became of the objects of a store request.
type outcome struct {
	kept   []Kept
	failed []Rejection
}

func (o *outcome) count() int { return len(o.kept) + len(o.failed) }

// status follows PS3.18 table 10.5.3-1; a full disk has a code of its own in HTTP.
func (o *outcome) status() int {
	warned := slices.ContainsFunc(o.kept, func(k Kept) bool { return k.Warning != 0 })
	full := slices.ContainsFunc(o.failed, func(r Rejection) bool { return r.Reason == ReasonResources })
	switch {
	case o.count() == 0:
		return http.StatusBadRequest
	case len(o.failed) == 0 && !warned:
		return http.StatusOK
	case len(o.kept) > 0:
		return http.StatusAccepted
	case full:
		return http.StatusInsufficientStorage
	}
	return http.StatusConflict
}

// dataset is the store instances response (PS3.18 I.2).
func (o *outcome) dataset() Dataset {
	d := Dataset{}
	add := func(tag string, item map[string]any) {
		d[tag] = Element{VR: "SQ", Value: append(d[tag].Value, item)}
	}
	for _, one := range o.kept {
		item := reference(one.SOPClassUID, one.SOPInstanceUID)
		if one.Warning != 0 {
			item[tagWarningReason] = Attribute("US", one.Warning)
		}
		add(tagStoredSOPs, item)
	}
	for _, one := range o.failed {
		item := reference(one.SOPClassUID, one.SOPInstanceUID)
		item[tagFailureReason] = Attribute("US", one.Reason)
		if one.SOPInstanceUID != "" {
			add(tagFailedSOPs, item)
		} else {
			add(tagOtherFailures, item) // nothing is known to refer to
		}
	}
	return d
}

func reference(class, instance string) map[string]any {
	item := map[string]any{}
	if class != "" {
		item[tagSOPClass] = Attribute("UI", class)
	}
	if instance != "" {
		item[tagSOPInstance] = Attribute("UI", instance)
	}
	return item
}

func (o *outcome) write(w http.ResponseWriter, kind string) {
	var text []byte
	var err error
	if kind == typeXML {
		text, err = xml.Marshal(native{XMLName: xml.Name{Local: "NativeDicomModel"}, Attributes: attributes(o.dataset())})
	} else {
		text, err = json.Marshal(o.dataset())
	}
	if err != nil {
		http.Error(w, "writing the answer", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(o.status())
	_, _ = w.Write(text) // a sender that is gone asks again
}

// native is a data set in the native DICOM model (PS3.19 A.1).
type native struct {
	XMLName    xml.Name    `xml:""`
	Number     int         `xml:"number,attr,omitempty"`
	Attributes []attribute `xml:"DicomAttribute"`
}

type attribute struct {
	Tag    string   `xml:"tag,attr"`
	VR     string   `xml:"vr,attr"`
	Values []value  `xml:"Value"`
	Items  []native `xml:"Item"`
}

type value struct {
	Number int    `xml:"number,attr"`
	Text   string `xml:",chardata"`
}

func attributes(d map[string]Element) []attribute {
	var list []attribute
	for tag, element := range d {
		one := attribute{Tag: tag, VR: element.VR}
		for i, v := range element.Value {
			if item, ok := v.(map[string]any); ok {
				elements := map[string]Element{}
				for tag, e := range item {
					elements[tag] = e.(Element) //nolint:forcetypeassert // reference makes them
				}
				one.Items = append(one.Items, native{XMLName: xml.Name{Local: "Item"}, Number: i + 1, Attributes: attributes(elements)})
				continue
			}
			one.Values = append(one.Values, value{i + 1, fmt.Sprint(v)})
		}
		list = append(list, one)
	}
	slices.SortFunc(list, func(a, b attribute) int { return strings.Compare(a.Tag, b.Tag) })
	return list
}

// acceptable chooses the type of an answer (PS3.18 8.7.6).
func acceptable(accept []string) (kind string, ok bool) {
	if len(accept) == 0 {
		return typeJSON, true
	}
	for one := range strings.SplitSeq(strings.Join(accept, ","), ",") {
		wanted, _, _ := mime.ParseMediaType(strings.TrimSpace(one))
		switch wanted {
		case typeJSON, "application/json", "application/*", "*/*":
			return typeJSON, true
		case typeXML, "application/xml", "text/xml":
			kind, ok = typeXML, true
		}
	}
	return kind, ok
}
