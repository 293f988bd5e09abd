package report

import (
	"neurotriage"
	"neurotriage/dicomio"
)

// reference names an image, and a frame of it if it has several.
type reference struct {
	series, class, instance string
	frame                   int // 0: the whole instance
}

// item writes the reference as SOP instance reference (PS3.3 10.8, 10.3).
func (r reference) item() dicomio.Dataset {
	set := dicomio.Dataset{ui(0x00081150, r.class), ui(0x00081155, r.instance)}
	if r.frame > 0 {
		set = append(set, is(0x00081160, r.frame))
	}
	return set
}

// album finds the images of a study.
type album struct {
	study  neurotriage.Study
	frames map[string]int // by SOP instance UID
	class  map[string]string
	series map[string]string
}

func newAlbum(study neurotriage.Study) album {
	a := album{study: study, frames: map[string]int{}, class: map[string]string{}, series: map[string]string{}}
	for _, series := range study.Series {
		for _, slice := range series.Slices {
			a.frames[slice.SOPInstanceUID] = max(a.frames[slice.SOPInstanceUID]+1, slice.Frame)
			a.class[slice.SOPInstanceUID], a.series[slice.SOPInstanceUID] = slice.SOPClassUID, series.UID
		}
	}
	return a
}

// find gives the reference of a slice; one that the headers do not hold, or
// whose class they do not tell, cannot be referenced.
func (a album) find(instance string, frame int) (reference, bool) {
	r := reference{series: a.series[instance], class: a.class[instance], instance: instance}
	if a.frames[instance] > 1 {
		r.frame = frame
	}
	return r, r.series != "" && neurotriage.CheckUID(r.class) == nil && neurotriage.CheckUID(instance) == nil
}

// eligible lists the instances that the model read or was to read, each once.
func (a album) eligible() []reference {
	var list []reference
	for _, uid := range a.study.EligibleSOPs() {
		if r, known := a.find(uid, 0); known {
			r.frame = 0
			list = append(list, r)
		}
	}
	return list
}

// evidence writes references as study, series and instances (PS3.3 C.17.2.1),
// each instance once and in order of first appearance.
func evidence(study string, references []reference) dicomio.Dataset {
	instances := map[string][]dicomio.Dataset{}
	seen := map[string]bool{}
	var order []string
	for _, r := range references {
		if seen[r.instance] {
			continue
		}
		seen[r.instance] = true
		if instances[r.series] == nil {
			order = append(order, r.series)
		}
		instances[r.series] = append(instances[r.series], dicomio.Dataset{ui(0x00081150, r.class), ui(0x00081155, r.instance)})
	}
	series := make([]dicomio.Dataset, len(order))
	for i, uid := range order {
		series[i] = dicomio.Dataset{sq(0x00081199, instances[uid]...), ui(0x0020000E, uid)}
	}
	return dicomio.Dataset{sq(0x00081115, series...), ui(0x0020000D, study)}
}
