package report

import (
	"neurotriage/dicomio"
)

// item is a content item of a structured report (PS3.3 C.17.3).
type item struct {
	relation string
	kind     string // value type
	name     code   // of no value: the item has no concept name
	value    dicomio.Dataset
	children []item
}

// The relations (PS3.3 C.17.3.2.4).
const (
	contains     = "CONTAINS"
	modifier     = "HAS CONCEPT MOD"
	obsContext   = "HAS OBS CONTEXT"
	inferredFrom = "INFERRED FROM"
)

func container(relation string, name code, children ...item) item {
	return item{relation: relation, kind: "CONTAINER", name: name, value: dicomio.Dataset{cs(0x0040A050, "SEPARATE")}, children: children}
}

func textItem(relation string, name code, text string) item {
	return item{relation: relation, kind: "TEXT", name: name, value: dicomio.Dataset{el(0x0040A160, "UT", line(text, 4096))}}
}

func codeItem(relation string, name, value code) item {
	return item{relation: relation, kind: "CODE", name: name, value: dicomio.Dataset{value.sequence(0x0040A168)}}
}

func uidItem(relation string, name code, uid string) item {
	return item{relation: relation, kind: "UIDREF", name: name, value: dicomio.Dataset{ui(0x0040A124, uid)}}
}

// number is a number without a unit. The floating point value beside the decimal
// string keeps every digit (PS3.3 C.18.1): a probability that rounds to the
// threshold is still below it.
func number(name code, value float64, children ...item) item {
	return item{relation: contains, kind: "NUM", name: name, children: children, value: dicomio.Dataset{
		sq(0x0040A300, dicomio.Dataset{
			el(0x0040A30A, "DS", decimal(value)),
			el(0x0040A161, "FD", []float64{value}),
			noUnits.sequence(0x004008EA),
		}),
	}}
}

func imageItem(relation string, name code, image reference) item {
	return item{relation: relation, kind: "IMAGE", name: name, value: dicomio.Dataset{sq(0x00081199, image.item())}}
}

// dataset writes the item and everything below it.
func (i item) dataset() dicomio.Dataset {
	set := append(dicomio.Dataset{cs(0x0040A040, i.kind)}, i.value...)
	if i.relation != "" {
		set = append(set, cs(0x0040A010, i.relation))
	}
	if i.name.value != "" {
		set = append(set, i.name.sequence(0x0040A043))
	}
	if len(i.children) > 0 {
		children := make([]dicomio.Dataset, len(i.children))
		for n, child := range i.children {
			children[n] = child.dataset()
		}
		set = append(set, sq(0x0040A730, children...))
	}
	return set
}

// root writes a document's root container, which names its template (PS3.3 C.18.8).
func root(title code, template string, children ...item) dicomio.Dataset {
	return append(container("", title, children...).dataset(),
		sq(0x0040A504, dicomio.Dataset{cs(0x00080105, "DCMR"), cs(0x0040DB00, template)}))
}
