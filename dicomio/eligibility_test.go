package dicomio

import (
	"strings"
	"testing"

	"neurotriage"
)

// head is a T1 spin echo of the brain; cases change what they are about.
func head(change func(*evidence)) evidence {
	e := evidence{
		modality: "MR", sopClass: classMR, pixels: true, samples: 1, photometric: "MONOCHROME2",
		imageType: `ORIGINAL\PRIMARY\M\ND`, bodyPart: "BRAIN",
		scanning: "SE", variant: "SK", acquisitionType: "2D", tr: 550, te: 11, flip: 90,
	}
	change(&e)
	return e
}

// described has neither timing nor body part: descriptions must do.
func byText(series string) evidence {
	return head(func(e *evidence) {
		e.scanning, e.tr, e.te, e.flip, e.bodyPart, e.acquisitionType = "", 0, 0, 0, "", ""
		e.series = series
	})
}

func TestEligible(t *testing.T) {
	const (
		yes = true
		no  = false
	)
	cases := []struct {
		name     string
		evidence evidence
		eligible bool
		sequence neurotriage.SequenceKind
		why      string // part of it
	}{
		{"a plain T1", head(func(e *evidence) {}), yes, neurotriage.T1, "TR 550 ms, TE 11 ms make a T1"},
		{"DERIVED excludes nothing", head(func(e *evidence) { e.imageType = `DERIVED\SECONDARY\MPR` }), yes, neurotriage.T1, ""},
		{"agent recorded", head(func(e *evidence) { e.agent = "Gadovist" }), yes, neurotriage.T1C, "contrast agent is recorded"},
		{"agent in a sequence", head(func(e *evidence) { e.agentPresent = true }), yes, neurotriage.T1C, "contrast agent is recorded"},
		{"agent denied", head(func(e *evidence) { e.agent = "NONE" }), yes, neurotriage.T1, "no contrast agent"},
		{"agent denied by dashes", head(func(e *evidence) { e.agent = "--" }), yes, neurotriage.T1, "no contrast agent"},
		{"agent recorded, described as before", head(func(e *evidence) { e.agent, e.series = "Dotarem", "T1 PRE" }), yes, neurotriage.T1, "says without"},

		{"MPRAGE", head(func(e *evidence) {
			e.scanning, e.acquisitionType, e.tr, e.te, e.ti, e.flip = `GR\IR`, "3D", 2300, 2.98, 900, 9
		}), yes, neurotriage.T1, "TI 900 ms make a T1"},
		{"spoiled gradient echo", head(func(e *evidence) {
			e.scanning, e.variant, e.acquisitionType, e.tr, e.te, e.flip = "GR", `SP\OSP`, "3D", 8.2, 3.2, 12
		}), yes, neurotriage.T1, ""},
		{"time of flight looks like a slow spoiled gradient echo", head(func(e *evidence) {
			e.scanning, e.variant, e.acquisitionType, e.tr, e.te, e.flip = "GR", `SP\OSP`, "3D", 22, 3.7, 18
		}), no, neurotriage.UnknownSequence, "neither descriptions nor timing"},
		{"FLASH", head(func(e *evidence) {
			e.scanning, e.acquisitionType, e.tr, e.te, e.flip = "GR", "2D", 250, 2.5, 70
		}), yes, neurotriage.T1, ""},
		{"T1 FLAIR by timing", head(func(e *evidence) { e.scanning, e.tr, e.te, e.ti = `SE\IR`, 2000, 9, 860 }), yes, neurotriage.T1, ""},
		{"T1 FLAIR by words", head(func(e *evidence) { e.series, e.tr, e.te, e.ti = "Ax T1 FLAIR +C", 2200, 24, 780 }), yes, neurotriage.T1C, "inferred from description"},
		{"T1 SPACE", head(func(e *evidence) { e.series, e.acquisitionType, e.tr, e.te = "t1_space_sag_p2_iso_KM", "3D", 700, 11 }), yes, neurotriage.T1C, ""},

		{"T2", head(func(e *evidence) { e.tr, e.te = 4500, 95 }), no, neurotriage.T2, "TE 95 ms make a T2"},
		{"PD", head(func(e *evidence) { e.tr, e.te = 2800, 20 }), no, neurotriage.ProtonDensity, "PD"},
		{"FLAIR", head(func(e *evidence) { e.scanning, e.tr, e.te, e.ti = `SE\IR`, 9000, 110, 2500 }), no, neurotriage.FLAIR, "FLAIR"},
		{"FLAIR after contrast", head(func(e *evidence) { e.series, e.tr, e.te, e.ti = "FLAIR POST", 9000, 110, 2500 }), no, neurotriage.FLAIR, "flair"},
		{"STIR", head(func(e *evidence) { e.tr, e.te, e.ti = 4000, 40, 150 }), no, neurotriage.UnknownSequence, ""},
		{"T2*", head(func(e *evidence) { e.scanning, e.tr, e.te, e.flip = "GR", 600, 20, 20 }), no, neurotriage.Susceptibility, ""},
		{"EPI", head(func(e *evidence) { e.scanning = `EP\GR` }), no, neurotriage.EchoPlanar, "echo planar"},
		{"spin echo EPI", head(func(e *evidence) { e.scanning = `EP\SE` }), no, neurotriage.EchoPlanar, "echo planar"},
		{"Siemens diffusion by its name", head(func(e *evidence) { e.sequenceName = "*ep_b1000#1" }), no, neurotriage.Diffusion, ""},
		{"Siemens SWI by its name", head(func(e *evidence) { e.sequenceName = "*swi3d1r" }), no, neurotriage.Susceptibility, ""},
		{"Siemens TOF by its name", head(func(e *evidence) { e.sequenceName = "*fi3d1r" }), no, neurotriage.Angiography, ""},
		{"b-value", head(func(e *evidence) { e.diffusion = true }), no, neurotriage.Diffusion, "b-value"},
		{"enhanced FLAIR", head(func(e *evidence) { e.acquisitionContrast = "FLUID_ATTENUATED" }), no, neurotriage.FLAIR, "FLUID_ATTENUATED"},
		{"described as T1, timed as T2", head(func(e *evidence) { e.series, e.tr, e.te = "T1 AX", 4000, 100 }), no, neurotriage.UnknownSequence, "but scanning sequence SE, TR 4000 ms"},
		{"described as T2, timed as T1", head(func(e *evidence) { e.series = "T2 AX" }), no, neurotriage.T2, "described as T2"},
		{"both T1 and T2", byText("brain T1 T2"), no, neurotriage.UnknownSequence, ""},

		{"localizer", head(func(e *evidence) { e.imageType = `ORIGINAL\PRIMARY\M\LOCALIZER` }), no, neurotriage.Localizer, "LOCALIZER"},
		{"mosaic", head(func(e *evidence) { e.imageType += `\MOSAIC` }), no, neurotriage.EchoPlanar, "MOSAIC"},
		{"ADC", head(func(e *evidence) { e.imageType = `DERIVED\PRIMARY\DIFFUSION\ADC` }), no, neurotriage.Diffusion, "DIFFUSION"},
		{"FA", head(func(e *evidence) { e.imageType = `DERIVED\PRIMARY\FA` }), no, neurotriage.ParametricMap, "FA"},
		{"TRACEW", head(func(e *evidence) { e.imageType = `DERIVED\PRIMARY\TRACEW` }), no, neurotriage.ParametricMap, "TRACEW"},
		{"MIP", head(func(e *evidence) { e.imageType = `DERIVED\SECONDARY\MIP` }), no, neurotriage.ParametricMap, "projection"},
		{"projection image", head(func(e *evidence) { e.imageType = `DERIVED\SECONDARY\PROJECTION IMAGE` }), no, neurotriage.ParametricMap, "projection"},
		{"subtraction by image type", head(func(e *evidence) { e.imageType = `DERIVED\PRIMARY\SUB` }), no, neurotriage.ParametricMap, "subtraction"},
		{"subtraction by words", head(func(e *evidence) { e.series = "T1 SUB" }), no, neurotriage.ParametricMap, "sub"},
		{"T1 map", head(func(e *evidence) { e.series = "T1 MAP" }), no, neurotriage.ParametricMap, "map"},
		{"phase image", head(func(e *evidence) { e.imageType = `ORIGINAL\PRIMARY\P\ND` }), no, neurotriage.ParametricMap, "phase"},

		{"CT", head(func(e *evidence) { e.modality = "CT" }), no, neurotriage.UnknownSequence, "computed tomography (CT)"},
		{"report", head(func(e *evidence) { e.modality, e.pixels = "SR", false }), no, neurotriage.UnknownSequence, "a report object (SR)"},
		{"segmentation", head(func(e *evidence) { e.modality = "SEG" }), no, neurotriage.UnknownSequence, "a segmentation"},
		{"no modality", head(func(e *evidence) { e.modality = "" }), no, neurotriage.UnknownSequence, "modality is missing"},
		{"MR without pixels", head(func(e *evidence) { e.pixels = false }), no, neurotriage.UnknownSequence, "holds no image"},
		{"spectroscopy", head(func(e *evidence) { e.sopClass = classSpectroscopy }), no, neurotriage.UnknownSequence, "spectroscopy"},
		{"secondary capture", head(func(e *evidence) { e.sopClass = classSecondary }), no, neurotriage.UnknownSequence, "secondary capture"},
		{"raw data", head(func(e *evidence) { e.sopClass = "1.2.840.10008.5.1.4.1.1.66" }), no, neurotriage.UnknownSequence, "no MR image"},
		{"RGB", head(func(e *evidence) { e.samples, e.photometric = 3, "RGB" }), no, neurotriage.UnknownSequence, "colour"},
		{"palette", head(func(e *evidence) { e.photometric = "PALETTE COLOR" }), no, neurotriage.UnknownSequence, "PALETTE COLOR"},

		{"knee", head(func(e *evidence) { e.bodyPart = "KNEE" }), no, neurotriage.T1, "body part KNEE"},
		{"spine described under a head", head(func(e *evidence) { e.series = "T1 SAG C-SPINE" }), no, neurotriage.T1, "spine"},
		{"spine by the study, head by habit", head(func(e *evidence) { e.study = "MRI CERVICAL SPINE" }), no, neurotriage.T1, "cervical"},
		{"brain and spine examined, head named", head(func(e *evidence) { e.study = "MRI BRAIN AND SPINE" }), yes, neurotriage.T1, "body part BRAIN"},
		{"no part at all", head(func(e *evidence) { e.bodyPart = "" }), no, neurotriage.T1, "no body part is given"},
		{"unknown part", head(func(e *evidence) { e.bodyPart = "ROUTINE" }), no, neurotriage.T1, "ROUTINE"},
		{"part by the study", head(func(e *evidence) { e.bodyPart, e.study = "", "MRT Schädel" }), yes, neurotriage.T1, "inferred from the study's description"},
		{"brain and spine examined, none named", head(func(e *evidence) { e.bodyPart, e.study = "", "MRI BRAIN AND SPINE" }), no, neurotriage.T1, ""},
		{"French head", head(func(e *evidence) { e.bodyPart = "CRÂNE" }), yes, neurotriage.T1, ""},
		{"pituitary", head(func(e *evidence) { e.bodyPart = "PITUITARY" }), yes, neurotriage.T1, ""},

		{"all by description", byText("anat-T1w"), yes, neurotriage.T1, "inferred from description"},
		{"MPRAGE names a head", byText("t1_mprage_sag_p2_iso_Gd"), yes, neurotriage.T1C, "head, inferred from description"},
		{"BRAVO names a head", byText("Sag 3D BRAVO +C"), yes, neurotriage.T1C, "contrast agent inferred from description"},
		{"brain without a sequence", byText("BRAIN AX"), no, neurotriage.UnknownSequence, "neither descriptions nor timing"},
		{"words in one", byText("BrainAxT1Post"), yes, neurotriage.T1C, ""},
		{"protocol stands in", head(func(e *evidence) { e.scanning, e.tr, e.te, e.protocol = "", 0, 0, "t1_tse_tra" }), yes, neurotriage.T1, "t1"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := newAssessor(neurotriage.IntendedUse{}).eligible(c.evidence)
			if got.eligible != c.eligible || got.sequence != c.sequence || !strings.Contains(got.why, c.why) || got.why == "" {
				t.Errorf("got %v %s because %s\nwant %v %s because … %s …", got.eligible, got.sequence, got.why, c.eligible, c.sequence, c.why)
			}
		})
	}
}

func TestDescribedSequences(t *testing.T) {
	cases := map[neurotriage.SequenceKind][]string{
		neurotriage.T1: {
			"T1", "T1W", "T1WI", "T1w_SE", "AX T1", "SAG T1 FSE", "t1_tse_tra", "t1_se_cor", "sT1W_3D_TFE", "eT1W_SE", "T1W_FFE", "3D T1", "3DT1", "T1_3D",
			"MPRAGE", "t1_mprage_sag", "mp2rage_UNI", "FSPGR 3D", "BRAVO", "VIBE tra", "T1 FLAIR", "AX T1 FLAIR", "T1 TIRM DARK FLUID", "T1+C", "T1C", "AxT1Post",
			"COR T1 POST FS", "T1 AX GD", "T1 GRE 3D", "Ax T1 ASSET",
		},
		neurotriage.T2:             {"T2", "AX T2 FSE", "t2_tse_tra", "T2W_TSE", "COR T2 FS", "3D T2 CUBE", "HASTE"},
		neurotriage.FLAIR:          {"FLAIR", "AX T2 FLAIR", "t2_flair_tra", "t2_tirm_tra_dark-fluid", "3D FLAIR CUBE", "FLAIR_longTR"},
		neurotriage.ProtonDensity:  {"PD", "AX PD FS"},
		neurotriage.Diffusion:      {"DWI", "AX DWI b1000", "ep2d_diff_3scan", "DTI 32", "RESOLVE DWI", "DWI_dir80_PA"},
		neurotriage.Susceptibility: {"SWI", "t2*", "T2*_GRE", "T2star", "SWAN", "AX GRE T2* HEME"},
		neurotriage.Angiography:    {"TOF", "3D TOF COW", "MRA HEAD", "MRV 2D", "ToF_3D_multi-slab"},
		neurotriage.Localizer:      {"localizer", "LOC", "Scout", "Survey_SHC", "3-Pl Loc", "AAHead_Scout"},
		neurotriage.ParametricMap:  {"ADC", "ADC (10^-6 mm^2/s)", "FA map", "T1 map", "MIP tof", "mIP_Images(SW)", "T1 post SUB", "rCBV", "field mapping", "ASSET calibration"},
		neurotriage.EchoPlanar:     {"fMRI rest", "ep perf DSC", "ASL 3D", "BOLD", "T1 DCE perfusion"},
		"":                         {"AX BRAIN", "Post contrast", "SAG", "T12 level", "LT10"},
	}
	for want, texts := range cases {
		for _, text := range texts {
			if got, word := wordKind(wordsOf(text)); got != want {
				t.Errorf("%q is %q (by %q), want %q", text, got, word, want)
			}
		}
	}
}

func TestContrastWords(t *testing.T) {
	cases := map[bool][]string{
		true: {
			"T1 POST", "T1+C", "T1 +C", "T1 C+", "AX T1 GD", "T1_KM", "T1 nach KM", "T1C", "T1CE", "T1 CE", "T1 Gado", "t1_mprage_gd", "AxT1Post", "SAG T1 postcontrast",
			"T1 W/C", "T1 contrast", "T1_post_FS", "T1 apres injection gado", "T1+Gd",
		},
		false: {
			"T1", "T1 PRE", "T1 PRE CONTRAST", "T1 w/o contrast", "T1 without contrast", "T1 non-contrast", "T1 nativ", "T1 ohne KM", "T1 sans gado", "T1 unenhanced",
			"T1 -C", "T1 C-", "AX T1 AC-PC", "T1 cor", "T1 SE", "COMPOSTED T1", "T1 tra fs", "T1 KMEANS", "CERVICAL", "T1 PRE AND POST",
		},
	}
	for want, texts := range cases {
		for _, text := range texts {
			if got := contrastOf(evidence{series: text}, heardIn(evidence{series: text}, "brain")); got.given != want {
				t.Errorf("%q: contrast %v (%s), want %v", text, got.given, got.why, want)
			}
		}
	}
}

func TestIntendedUse(t *testing.T) {
	flair := head(func(e *evidence) { e.acquisitionContrast = "FLUID_ATTENUATED" })
	cases := []struct {
		name     string
		use      neurotriage.IntendedUse
		evidence evidence
		want     bool
	}{
		{"nothing said: T1 is raised", neurotriage.IntendedUse{}, head(func(*evidence) {}), true},
		{"only with contrast", neurotriage.IntendedUse{Read: []neurotriage.SequenceKind{neurotriage.T1C}}, head(func(*evidence) {}), false},
		{"a model of FLAIR reads FLAIR", neurotriage.IntendedUse{Read: []neurotriage.SequenceKind{neurotriage.FLAIR}}, flair, true},
		{"a model of FLAIR reads no T1", neurotriage.IntendedUse{Read: []neurotriage.SequenceKind{neurotriage.FLAIR}}, head(func(*evidence) {}), false},
		{"a model of the knee", neurotriage.IntendedUse{BodyPart: "knee"}, head(func(e *evidence) { e.bodyPart = "KNEE" }), true},
		{"a model of the knee reads no brain", neurotriage.IntendedUse{BodyPart: "knee"}, head(func(*evidence) {}), false},
		{"a model of CT reads no MR", neurotriage.IntendedUse{Modality: "CT"}, head(func(*evidence) {}), false},
	}
	for _, c := range cases {
		if got := newAssessor(c.use).eligible(c.evidence); got.eligible != c.want {
			t.Errorf("%s: got %v (%s), want %v", c.name, got.eligible, got.why, c.want)
		}
	}
}

// Descriptions are free text: a finding that leaves the house may quote a word
// of the vocabulary, never the text.
func TestWhyQuotesNoFreeText(t *testing.T) {
	for _, e := range []evidence{
		head(func(e *evidence) { e.series, e.study, e.agent = "T1 POST Smith", "MRI brain Smith", "Smith 10 ml" }),
		head(func(e *evidence) { e.series = "T2 Smith" }),
		head(func(e *evidence) { e.series, e.bodyPart = "T1 Smith", "" }),
		byText("Smith mprage"),
	} {
		if why := newAssessor(neurotriage.IntendedUse{}).eligible(e).why; strings.Contains(strings.ToLower(why), "smith") {
			t.Errorf("why quotes free text: %s", why)
		}
	}
}
