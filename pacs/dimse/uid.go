package dimse

// Our implementation in associations and file headers (PS3.7 D.3.3.2, PS3.10
// 7.1). The UID is derived from a UUID (PS3.5 B.2) and never changes.
const (
	ImplementationClassUID = "2.25.263130198875433852013244046653511113323"
	ImplementationVersion  = "NEUROTRIAGE_1"
)

// SOP classes and transfer syntaxes that this package handles by name (PS3.6
// annex A).
const (
	Verification           = "1.2.840.10008.1.1"
	StorageCommitment      = "1.2.840.10008.1.20.1" // push model
	ImplicitVRLittleEndian = "1.2.840.10008.1.2"
	ExplicitVRLittleEndian = "1.2.840.10008.1.2.1"

	commitmentInstance = "1.2.840.10008.1.20.1.1" // the well-known SOP instance
	applicationContext = "1.2.840.10008.3.1.1.1"
)

// maxUID is the most characters of a UID (PS3.5 9.1).
const maxUID = 64

// ValidUID says that the text is a UID: digits in components divided by single
// dots, 64 characters at most. Components with leading zeros pass, since real
// systems send them. What passes is safe as the name of a file.
func ValidUID(uid string) bool {
	if uid == "" || len(uid) > maxUID {
		return false
	}
	for i := range len(uid) {
		switch c := uid[i]; {
		case c >= '0' && c <= '9':
		case c == '.' && i > 0 && i < len(uid)-1 && uid[i-1] != '.':
		default:
			return false
		}
	}
	return true
}
