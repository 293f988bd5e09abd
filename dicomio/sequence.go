package dicomio

import (
	"fmt"
	"regexp"
	"strings"

	"neurotriage"
)

// kind is a sequence kind with its grounds.
type kind struct {
	sequence neurotriage.SequenceKind
	why      string
}

// sequenceOf decides which contrast an MR image shows. What a header field says
// by definition counts before descriptions; T1 must not be contradicted by the
// timing; what nothing names is unknown, and never read.
func sequenceOf(e evidence, said spoken) kind {
	if k, ok := byImageType(e); ok {
		return k
	}
	if k, ok := byHeader(e, said); ok {
		return k
	}
	timing := byTiming(e)
	described, word := said.sequence, said.word
	switch {
	case described == "" && timing == neurotriage.T1:
		return kind{timing, timingText(e) + " make a T1"}
	case described == "" && timing == "" && e.acquisitionContrast == "T1":
		return kind{neurotriage.T1, "acquisition contrast T1"}
	case described == "" && timing != "":
		return kind{timing, fmt.Sprintf("%s make a %s, no T1", timingText(e), timing)}
	case described == "":
		return kind{neurotriage.UnknownSequence, "neither descriptions nor timing show a T1"}
	case described != neurotriage.T1:
		return kind{described, fmt.Sprintf("described as %s (%q)", kindText[described], word)}
	case timing == neurotriage.T1:
		return kind{described, fmt.Sprintf("T1 by description (%q) and timing (%s)", word, timingText(e))}
	case timing != "":
		return kind{neurotriage.UnknownSequence, fmt.Sprintf("described as T1 (%q), but %s make a %s", word, timingText(e), timing)}
	}
	return kind{described, fmt.Sprintf("T1, inferred from description (%q)", word)}
}

var kindText = map[neurotriage.SequenceKind]string{
	neurotriage.T2: "T2", neurotriage.FLAIR: "FLAIR", neurotriage.ProtonDensity: "proton density",
	neurotriage.Diffusion: "diffusion", neurotriage.EchoPlanar: "perfusion or functional imaging",
	neurotriage.Susceptibility: "susceptibility imaging", neurotriage.Angiography: "angiography",
	neurotriage.Localizer: "a localizer", neurotriage.ParametricMap: "a computed map or projection",
	neurotriage.UnknownSequence: "a sequence that the model does not read",
}

// imageTypes holds the values of Image Type (0008,0008) that exclude, wherever
// they stand: PS3.3 C.8.3.1.1.1, C.8.13.1.1.1 and what vendors write. DERIVED
// and SECONDARY are not among them: reformats and anonymised copies carry them.
var imageTypes = map[string]kind{
	"LOCALIZER": {neurotriage.Localizer, "a localizer"},
	"SCOUT":     {neurotriage.Localizer, "a localizer"},

	"DIFFUSION": {neurotriage.Diffusion, "diffusion"}, "TRACEW": {neurotriage.ParametricMap, "trace-weighted diffusion"},
	"TRACE": {neurotriage.ParametricMap, "trace-weighted diffusion"}, "ADC": {neurotriage.ParametricMap, "a diffusion coefficient map"},
	"EADC": {neurotriage.ParametricMap, "a diffusion coefficient map"}, "FA": {neurotriage.ParametricMap, "an anisotropy map"},
	"COLFA": {neurotriage.ParametricMap, "an anisotropy map"}, "TENSOR": {neurotriage.ParametricMap, "a tensor map"},
	"TENSOR_B0": {neurotriage.Diffusion, "diffusion"}, "CALC_BVALUE": {neurotriage.ParametricMap, "computed diffusion"},

	"MOSAIC": {neurotriage.EchoPlanar, "a mosaic of many slices"}, "EPI": {neurotriage.EchoPlanar, "echo planar imaging"},
	"FMRI": {neurotriage.EchoPlanar, "functional imaging"}, "BOLD": {neurotriage.EchoPlanar, "functional imaging"},
	"MOCO": {neurotriage.EchoPlanar, "motion-corrected functional or diffusion imaging"},
	"ASL":  {neurotriage.EchoPlanar, "perfusion"}, "PERFUSION": {neurotriage.EchoPlanar, "perfusion"},

	"MIP": {neurotriage.ParametricMap, "a projection"}, "MNIP": {neurotriage.ParametricMap, "a projection"},
	"MINIP": {neurotriage.ParametricMap, "a projection"}, "PROJECTION IMAGE": {neurotriage.ParametricMap, "a projection"},
	"MIN IP": {neurotriage.ParametricMap, "a projection"}, "MAX_IP": {neurotriage.ParametricMap, "a projection"},
	"MIN_IP": {neurotriage.ParametricMap, "a projection"}, "CURVED_MPR": {neurotriage.ParametricMap, "a curved reformat"},
	"VOLUME_RENDER": {neurotriage.ParametricMap, "a rendering"}, "SURFACE_RENDER": {neurotriage.ParametricMap, "a rendering"},
	"VOLUME RENDERED": {neurotriage.ParametricMap, "a rendering"}, "RENDERING": {neurotriage.ParametricMap, "a rendering"},

	"SUB": {neurotriage.ParametricMap, "a subtraction"}, "SUBTRACTION": {neurotriage.ParametricMap, "a subtraction"},
	"SUBTRACT": {neurotriage.ParametricMap, "a subtraction"}, "DIFFERENCE": {neurotriage.ParametricMap, "a subtraction"},

	"T1 MAP": {neurotriage.ParametricMap, "a relaxation map"}, "T2 MAP": {neurotriage.ParametricMap, "a relaxation map"},
	"T2_STAR MAP": {neurotriage.ParametricMap, "a relaxation map"}, "T2* MAP": {neurotriage.ParametricMap, "a relaxation map"},
	"R2 MAP": {neurotriage.ParametricMap, "a relaxation map"}, "R2_STAR MAP": {neurotriage.ParametricMap, "a relaxation map"},
	"T1_MAP": {neurotriage.ParametricMap, "a relaxation map"}, "T2_MAP": {neurotriage.ParametricMap, "a relaxation map"},
	"PROTON_DENSITY MAP": {neurotriage.ParametricMap, "a relaxation map"}, "B0 MAP": {neurotriage.ParametricMap, "a field map"},
	"B1 MAP": {neurotriage.ParametricMap, "a field map"}, "QUANT": {neurotriage.ParametricMap, "a quantitative map"},

	"CBF": {neurotriage.ParametricMap, "a perfusion map"}, "CBV": {neurotriage.ParametricMap, "a perfusion map"},
	"RELCBF": {neurotriage.ParametricMap, "a perfusion map"}, "RELCBV": {neurotriage.ParametricMap, "a perfusion map"},
	"RCBF": {neurotriage.ParametricMap, "a perfusion map"}, "RCBV": {neurotriage.ParametricMap, "a perfusion map"},
	"MTT": {neurotriage.ParametricMap, "a perfusion map"}, "RELMTT": {neurotriage.ParametricMap, "a perfusion map"},
	"TTP": {neurotriage.ParametricMap, "a perfusion map"}, "GBP": {neurotriage.ParametricMap, "a perfusion map"},
	"PBP": {neurotriage.ParametricMap, "a perfusion map"}, "TMAX": {neurotriage.ParametricMap, "a perfusion map"},
	"KTRANS": {neurotriage.ParametricMap, "a perfusion map"},

	"P": {neurotriage.ParametricMap, "a phase image"}, "PHASE": {neurotriage.ParametricMap, "a phase image"},
	"PHASE MAP": {neurotriage.ParametricMap, "a phase image"}, "R": {neurotriage.ParametricMap, "a real part image"},
	"I": {neurotriage.ParametricMap, "an imaginary part image"}, "REAL": {neurotriage.ParametricMap, "a real part image"},
	"IMAGINARY": {neurotriage.ParametricMap, "an imaginary part image"}, "VELOCITY": {neurotriage.ParametricMap, "a velocity image"},
	"SWI": {neurotriage.Susceptibility, "susceptibility imaging"}, "TOF": {neurotriage.Angiography, "angiography"},
	"ANGIO": {neurotriage.Angiography, "angiography"}, "FLOW_ENCODED": {neurotriage.Angiography, "angiography"},
	"SCREEN SAVE": {neurotriage.ParametricMap, "a screenshot"}, "SCREENSAVE": {neurotriage.ParametricMap, "a screenshot"},
	"CSA REPORT": {neurotriage.ParametricMap, "a report"}, "SPECTRO": {neurotriage.UnknownSequence, "spectroscopy"},
	"CSAPARALLEL": {neurotriage.ParametricMap, "a calibration"},
}

func byImageType(e evidence) (kind, bool) {
	for value := range strings.SplitSeq(e.imageType, `\`) {
		if k, ok := imageTypes[value]; ok {
			return kind{k.sequence, fmt.Sprintf("image type %s: %s", value, k.why)}, true
		}
	}
	return kind{}, false
}

// acquisitionContrasts are the terms of (0008,9209), PS3.3 C.8.13.3.1.1.
var acquisitionContrasts = map[string]neurotriage.SequenceKind{
	"DIFFUSION": neurotriage.Diffusion, "FLOW_ENCODED": neurotriage.Angiography, "TOF": neurotriage.Angiography,
	"FLUID_ATTENUATED": neurotriage.FLAIR, "PERFUSION": neurotriage.EchoPlanar, "PROTON_DENSITY": neurotriage.ProtonDensity,
	"STIR": neurotriage.UnknownSequence, "T2": neurotriage.T2, "T2_STAR": neurotriage.Susceptibility,
	"TAGGING": neurotriage.UnknownSequence, "T1": neurotriage.T1,
}

// sequenceNames are vendors' names of pulse sequences in (0018,0024).
var sequenceNames = []struct {
	pattern  *regexp.Regexp
	sequence neurotriage.SequenceKind
	why      string
}{
	{regexp.MustCompile(`^\*?(ep_b|re_b|ep2d_diff)`), neurotriage.Diffusion, "diffusion"},
	{regexp.MustCompile(`^\*?(ep|epfid|epse|epi)`), neurotriage.EchoPlanar, "echo planar imaging"},
	{regexp.MustCompile(`^\*?swi`), neurotriage.Susceptibility, "susceptibility imaging"},
	{regexp.MustCompile(`^\*?(fi[23]d\d*r|tof|pc[23]d|fl_pc|angio)`), neurotriage.Angiography, "angiography"},
	{regexp.MustCompile(`^\*?(svs|csi|fid)`), neurotriage.UnknownSequence, "spectroscopy"},
}

// byHeader looks at fields that define the sequence.
func byHeader(e evidence, said spoken) (kind, bool) {
	if e.diffusion {
		return kind{neurotriage.Diffusion, "a diffusion b-value is given"}, true
	}
	if sequence, ok := acquisitionContrasts[e.acquisitionContrast]; ok && sequence != neurotriage.T1 {
		return kind{sequence, "acquisition contrast " + e.acquisitionContrast}, true
	}
	if hasValue(e.scanning, "EP") {
		return kind{neurotriage.EchoPlanar, "scanning sequence EP: echo planar imaging"}, true
	}
	return said.pulse, said.named
}

// byPulse knows vendors' names of pulse sequences.
func byPulse(name string) (kind, bool) {
	name = strings.ToLower(name)
	for _, s := range sequenceNames {
		if s.pattern.MatchString(name) {
			return kind{s.sequence, "pulse sequence name: " + s.why}, true
		}
	}
	return kind{}, false
}

func hasValue(values, value string) bool {
	for v := range strings.SplitSeq(values, `\`) {
		if v == value {
			return true
		}
	}
	return false
}

// described are the words that name a kind, the strongest first. A T1 word
// beside FLAIR makes a T1 ("T1 FLAIR"), beside anything above it does not.
var described = []struct {
	pattern  *regexp.Regexp
	sequence neurotriage.SequenceKind
}{
	{whole(`loc|locs|localizer|localiser|localizers|scout|survey|survey\w*|3pl|3plane|aascout|aahscout\w*|smartbrain`), neurotriage.Localizer},
	{whole(`adc|eadc|dadc|fa|colfa|tracew|trace|exp|mip|mips|minip|mnip|sub|subs|subtr|subtraction|subtracted|subtraktion|cbf|cbv|rcbf|rcbv|mtt|ttp|tmax|ktrans|` +
		`map|maps|mapping|t1map\w*|t2map\w*|t1rho|molli|fieldmap\w*|phase|pha|screenshot|screen|report|vrt|projection|synthetic|symri|magic|calib\w*|calibration|refscan|b0|b1|b1map|inv1|inv2|inversion1|inversion2|tensor`), neurotriage.ParametricMap},
	{whole(`dwi|dti|dki|diff|diffusion|diff\w*|ep2d|b[15]\d{2,3}|b\d{4}|hardi|noddi|resolve|ivim`), neurotriage.Diffusion},
	{whole(`perf|perfusion|dsc|asl|pasl|pcasl|bold|fmri|epi|gre_field|resting|dce|twist|tricks|time4d|4d`), neurotriage.EchoPlanar},
	{whole(`swi|swan|swip|venbold|suscept\w*|heme|hemo|hemosiderin|t2\*w?|t2star\w*|t2s|medic|merge|qsm`), neurotriage.Susceptibility},
	{whole(`tof|3dtof|mra|cemra|mrv|angio\w*|mrangio|venogra\w*|inhance|pca|pc3d|carotid|carotids|venc`), neurotriage.Angiography},
	{whole(`mrs|svs|csi|spectro\w*|press|fiesta|ciss|trufi|truefisp|fisp|bffe|balanced|stir|dir|psir`), neurotriage.UnknownSequence},
}

var (
	t1Word    = whole(`(?:3d|2d|ax|axi|axial|sag|cor|tra|tr|e|s|st|fs|hr|ce|gd|se|fse|tse|h)?t1(?:[a-z+*].*)?|mprage\w*|mp2rage|uni|spgr|fspgr|efgre3d|bravo|vibe|starvibe|tfl|tfl3d\w*|3dtfe|thrive|lava`)
	t1NotWord = whole(`t1map\w*|t1rho|t1\*`)
	t2Word    = whole(`(?:3d|2d|ax|axi|axial|sag|cor|tra|tr|e|s|st|fs|hr|h)?t2(?:[a-z+].*)?|haste`)
	flairWord = whole(`\w*flair\w*|tirm|darkfluid|dark|spcir\w*`)
	pdWord    = whole(`pd|pdw|pdt2|proton|protonen|dp`)
)

// byWords reads the series description, and the protocol's name when that is
// silent. The study's description says nothing of one series.
func byWords(e evidence) (neurotriage.SequenceKind, string) {
	for _, text := range []string{e.series, e.protocol} {
		if sequence, word := wordKind(wordsOf(text)); sequence != "" {
			return sequence, word
		}
	}
	return "", ""
}

func wordKind(w words) (neurotriage.SequenceKind, string) {
	for _, d := range described {
		if word := w.find(d.pattern); word != "" {
			return d.sequence, word
		}
	}
	t1 := w.find(t1Word)
	if t1NotWord.MatchString(t1) {
		t1 = ""
	}
	t2, flair, pd := w.find(t2Word), w.find(flairWord), w.find(pdWord)
	switch {
	case t1 != "" && t2 == "" && pd == "":
		return neurotriage.T1, t1
	case t1 != "":
		return neurotriage.UnknownSequence, t1 + " " + t2 + pd
	case flair != "":
		return neurotriage.FLAIR, flair
	case t2 != "":
		return neurotriage.T2, t2
	case pd != "":
		return neurotriage.ProtonDensity, pd
	}
	return "", ""
}
