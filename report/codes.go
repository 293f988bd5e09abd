package report

import (
	"neurotriage"
	"neurotriage/dicomio"
)

// code is a coded concept (PS3.3 8.8).
type code struct{ value, scheme, meaning string }

// privateScheme is the designator of codes of our own: words of this program
// that no dictionary has.
const privateScheme = "99NEUROTRIAGE"

// Codes of PS3.16. 111286 "no abnormality" is deliberately not among them: the
// model cannot know it.
var (
	titleReport         = code{"126000", "DCM", "Imaging Measurement Report"}
	titleReview         = code{"128201", "DCM", "For Physician Review"}
	conceptLanguage     = code{"121049", "DCM", "Language of Content Item and Descendants"}
	english             = code{"en", "RFC5646", "English"}
	conceptObserverType = code{"121005", "DCM", "Observer Type"}
	observerDevice      = code{"121007", "DCM", "Device"}
	conceptDeviceUID    = code{"121012", "DCM", "Device Observer UID"}
	conceptDeviceName   = code{"121013", "DCM", "Device Observer Name"}
	conceptDeviceMaker  = code{"121014", "DCM", "Device Observer Manufacturer"}
	conceptDeviceModel  = code{"121015", "DCM", "Device Observer Model Name"}
	conceptDeviceSerial = code{"121016", "DCM", "Device Observer Serial Number"}
	conceptProcedure    = code{"121058", "DCM", "Procedure reported"}
	procedureMR         = code{"25056-3", "LN", "MRI unspecified body region"} // CID 100 has no MR of the brain
	conceptMeasurements = code{"126010", "DCM", "Imaging Measurements"}
	conceptGroup        = code{"125007", "DCM", "Measurement Group"}
	conceptTrackingID   = code{"112039", "DCM", "Tracking Identifier"}
	conceptTrackingUID  = code{"112040", "DCM", "Tracking Unique Identifier"}
	conceptFinding      = code{"121071", "DCM", "Finding"}
	conceptSite         = code{"363698007", "SCT", "Finding Site"}
	conceptProbability  = code{"122157", "DCM", "Probability"}
	conceptSource       = code{"121112", "DCM", "Source of Measurement"}
	conceptBest         = code{"121080", "DCM", "Best illustration of finding"}
	conceptExplanation  = code{"130401", "DCM", "Visual explanation"}
	activationMap       = code{"130403", "DCM", "Gradient-weighted class activation"}
	conceptAlgorithm    = code{"111001", "DCM", "Algorithm Name"}
	conceptVersion      = code{"111003", "DCM", "Algorithm Version"}
	conceptParameters   = code{"111002", "DCM", "Algorithm Parameters"}
	conceptFamily       = code{"111000", "DCM", "Algorithm Family"}
	artificial          = code{"123110", "DCM", "Artificial Intelligence"}
	conceptQualitative  = code{"C0034375", "UMLS", "Qualitative Evaluations"}
	conceptSummary      = code{"111065", "DCM", "Summary of Analyses"}
	withoutFindings     = code{"111241", "DCM", "All algorithms succeeded; without findings"}
	withFindings        = code{"111242", "DCM", "All algorithms succeeded; with findings"}
	noneSucceeded       = code{"111245", "DCM", "No algorithms succeeded; without findings"}
	conceptComment      = code{"121106", "DCM", "Comment"}
	conceptDescription  = code{"113012", "DCM", "Key Object Description"}
	processing          = code{"109102", "DCM", "Processing Equipment"}
	sourceImage         = code{"121322", "DCM", "Source image for image processing operation"}
	noUnits             = code{"1", "UCUM", "no units"}
)

// Concepts that only this program has.
var (
	conceptDisposition = code{"disposition", privateScheme, "Triage disposition"}
	conceptReason      = code{"reason", privateScheme, "Reason why the study was not read"}
	conceptClass       = code{"class", privateScheme, "Class of the model"}
	conceptThreshold   = code{"threshold", privateScheme, "Review threshold in force"}
)

// anatomy is what a label of the model stands for.
type anatomy struct{ finding, site code }

// tumours gives codes of SNOMED CT to the labels that are findings. "normal" is
// none: it has no code here and is never a finding.
var tumours = map[string]anatomy{
	neurotriage.Glioma: {
		code{"393564001", "SCT", "Glioma"}, code{"12738006", "SCT", "Brain"},
	},
	neurotriage.Meningioma: {
		code{"302820008", "SCT", "Intracranial meningioma"}, code{"1231004", "SCT", "Meninges"},
	},
	neurotriage.Pituitary: {
		code{"254956000", "SCT", "Pituitary adenoma"}, code{"56329008", "SCT", "Pituitary"},
	},
}

// own makes a code of a word of this program: a label, a disposition, a reason.
func own(word string) code { return code{clip(word, 16), privateScheme, clip(spaced(word), 64)} }

// sequence writes the code as a code sequence of one item.
func (c code) sequence(tag uint32) dicomio.Element { return sq(tag, c.item()) }

func (c code) item() dicomio.Dataset {
	value := sh(0x00080100, c.value)
	if len(c.value) > 16 {
		value = el(0x00080119, "UC", c.value) // Long Code Value
	}
	return dicomio.Dataset{value, sh(0x00080102, c.scheme), lo(0x00080104, c.meaning)}
}
