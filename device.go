package neurotriage

import (
	"encoding/hex"
	"math/big"
	"strings"
)

// Manufacturer (0008,0070) stands in every DICOM object that we make. Objects
// that carry it are never read as studies, or an archive that forwards
// everything both ways would send a study round for ever.
const Manufacturer = "neurotriage"

// DeviceUID is the unique identifier of the model as a device: another one after
// every training (IHE AI Results), the same on every machine.
func DeviceUID(modelDigest string) string { return DerivedUID("device", modelDigest) }

// DerivedUID is the UID of what is made from something else: the same parts give
// the same UID, on every machine at any time. It is a UUID-derived UID (PS3.5 B.2).
func DerivedUID(of, what string) string {
	digits, err := hex.DecodeString(strings.ReplaceAll(UUIDv5(findingNamespace, of+"\n"+what), "-", ""))
	if err != nil {
		panic(err) // UUIDv5 gives hexadecimal digits
	}
	return "2.25." + new(big.Int).SetBytes(digits).String()
}
