package annotate

import (
	"strings"

	"neurotriage"
	"neurotriage/pacs"
	"neurotriage/pacs/dicomweb"
)

// attr is an attribute with the values that are not empty.
func attr(vr string, values ...string) dicomweb.Element {
	a := dicomweb.Attribute(vr)
	for _, value := range values {
		if value != "" {
			a.Value = append(a.Value, value)
		}
	}
	return a
}

func sequence(items ...dicomweb.Dataset) dicomweb.Element {
	a := dicomweb.Attribute("SQ")
	for _, item := range items {
		a.Value = append(a.Value, item)
	}
	return a
}

// personName has one value, an object (PS3.18 F.2.2).
func personName(name string) dicomweb.Element {
	a := dicomweb.Attribute("PN")
	if name != "" {
		groups := map[string]any{}
		for i, group := range strings.SplitN(name, "=", 3) { // PS3.5 6.2.1
			if group != "" {
				groups[[]string{"Alphabetic", "Ideographic", "Phonetic"}[i]] = group
			}
		}
		a.Value = []any{groups}
	}
	return a
}

// Tags that the code above speaks of.
const (
	tagTransaction = "00081195"
	tagState       = "00741000"
	tagPriority    = "00741200"
)

func code(value, scheme, meaning string) dicomweb.Dataset {
	return dicomweb.Dataset{"00080100": attr("SH", value), "00080102": attr("SH", scheme), "00080104": attr("LO", meaning)}
}

// workitem is the data set that creates the workitem, with every attribute that
// PS3.4 table CC.2.5-3 demands of an SCU; those of type 2 that nothing is known
// of are empty.
func (u *UPS) workitem(p pacs.Parcel, priority string, former known) dicomweb.Dataset {
	f, s := p.Finding, p.Study
	when := upsTime(f.Finished)
	d := dicomweb.Dataset{
		// SOP common and scheduling
		tagTransaction: attr("UI"), tagState: attr("CS", "SCHEDULED"), tagPriority: attr("CS", priority),
		"00741202": attr("LO", u.opts.WorklistLabel), "00741204": attr("LO", label(f)),
		"00404005": attr("DT", when), "00404041": attr("CS", "READY"),
		"00741210": sequence(), "00404025": sequence(), "00404026": sequence(), "00404027": sequence(),
		"00404018": sequence(code("110005", "DCM", "Interpretation")),
		"00400400": attr("LT", "Finding "+f.ID+". Research software; not a diagnosis."),
		"00404021": u.inputs(p), "00741002": sequence(), "00741216": sequence(),
		// patient
		"00100010": personName(s.Patient.Name), "00100020": attr("LO", s.Patient.ID), "00100021": attr("LO", s.Patient.Issuer),
		"00100030": attr("DA", s.Patient.BirthDate), "00100040": attr("CS", s.Patient.Sex), "00101002": sequence(),
		"00380010": attr("LO"), "00380014": sequence(), "00081080": attr("LO"), "00081084": sequence(),
		// order
		"0040A370": sequence(dicomweb.Dataset{
			"0020000D": attr("UI", f.StudyInstanceUID), "00080050": attr("SH", accession(p)), "00080051": sequence(),
			"00402016": attr("LO", s.PlacerOrder), "00402017": attr("LO", s.FillerOrder),
			"00401001": attr("SH"), "00321060": attr("LO"), "00321064": sequence(),
		}),
	}
	if former.uid != "" {
		d["00741224"] = sequence(dicomweb.Dataset{"00081150": attr("UI", upsPush), "00081155": attr("UI", former.uid)})
	}
	return d
}

const upsPush = "1.2.840.10008.5.1.4.34.6.1" // SOP class of every workitem

// label says on the worklist what is to be done (64 characters of LO).
func label(f neurotriage.Finding) string {
	switch f.Disposition {
	case neurotriage.GliomaReview:
		return "Review: possible glioma"
	case neurotriage.TumourSuspected:
		return "Review: tumour suspected"
	case neurotriage.NotFlagged:
		return "Read: not flagged"
	}
	return "Read: NOT READ by triage"
}

func accession(p pacs.Parcel) string {
	if p.Job.AccessionNumber != "" {
		return p.Job.AccessionNumber
	}
	return p.Study.AccessionNumber
}

// inputs refers to the study's images, series by series (PS3.3 table 10-3a).
func (u *UPS) inputs(p pacs.Parcel) dicomweb.Element {
	var items []dicomweb.Dataset
	for _, series := range p.Study.Series {
		seen := map[string]bool{}
		var instances []dicomweb.Dataset
		for _, slice := range series.Slices {
			if !seen[slice.SOPInstanceUID] {
				seen[slice.SOPInstanceUID] = true
				instances = append(instances, dicomweb.Dataset{
					"00081150": attr("UI", slice.SOPClassUID), "00081155": attr("UI", slice.SOPInstanceUID),
				})
			}
		}
		items = append(items, dicomweb.Dataset{
			"0040E020": attr("CS", "DICOM"), "0020000D": attr("UI", p.Finding.StudyInstanceUID), "0020000E": attr("UI", series.UID),
			"00081199": sequence(instances...),
			"0040E025": sequence(dicomweb.Dataset{"00081190": attr("UR", u.opts.RetrieveURL+"/studies/"+p.Finding.StudyInstanceUID+"/series/"+series.UID)}),
		})
	}
	return sequence(items...)
}
