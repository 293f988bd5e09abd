package dicomio

import "encoding/binary"

// syntax is how a transfer syntax lays out a data set (PS3.5 10 and annex A).
type syntax struct {
	name      string
	implicit  bool
	bigEndian bool
	deflated  bool
}

func (s syntax) order() binary.ByteOrder {
	if s.bigEndian {
		return binary.BigEndian
	}
	return binary.LittleEndian
}

// Transfer syntaxes of PS3.6 table A-1 that this room reads by itself.
const (
	implicitLittle  = "1.2.840.10008.1.2"
	explicitLittle  = "1.2.840.10008.1.2.1"
	deflatedLittle  = "1.2.840.10008.1.2.1.99"
	explicitBig     = "1.2.840.10008.1.2.2"
	rleLossless     = "1.2.840.10008.1.2.5"
	encapsulatedUnc = "1.2.840.10008.1.2.1.98"
)

// layoutOf tells the layout of any transfer syntax. All that PS3.5 defines
// beside the four named here are explicit little endian with encapsulated
// frames (PS3.5 A.4), so the headers of an unknown one can be read all the same.
func layoutOf(uid string) syntax {
	switch uid {
	case implicitLittle:
		return syntax{name: "implicit VR little endian", implicit: true}
	case explicitBig:
		return syntax{name: "explicit VR big endian", bigEndian: true}
	case deflatedLittle:
		return syntax{name: "deflated explicit VR little endian", deflated: true}
	case explicitLittle:
		return syntax{name: "explicit VR little endian"}
	}
	return syntax{name: syntaxName(uid)}
}

// syntaxName gives the words for a transfer syntax that are used in refusals.
func syntaxName(uid string) string {
	if name, ok := compressedNames[uid]; ok {
		return name
	}
	return "unknown"
}

// compressedNames holds what PS3.6 table A-1 calls the encapsulated syntaxes.
var compressedNames = map[string]string{
	encapsulatedUnc:           "encapsulated uncompressed",
	rleLossless:               "RLE lossless",
	"1.2.840.10008.1.2.4.50":  "JPEG baseline (process 1)",
	"1.2.840.10008.1.2.4.51":  "JPEG extended (process 2 and 4)",
	"1.2.840.10008.1.2.4.57":  "JPEG lossless (process 14)",
	"1.2.840.10008.1.2.4.70":  "JPEG lossless (process 14, selection value 1)",
	"1.2.840.10008.1.2.4.80":  "JPEG-LS lossless",
	"1.2.840.10008.1.2.4.81":  "JPEG-LS near-lossless",
	"1.2.840.10008.1.2.4.90":  "JPEG 2000 lossless",
	"1.2.840.10008.1.2.4.91":  "JPEG 2000",
	"1.2.840.10008.1.2.4.201": "high-throughput JPEG 2000 lossless",
	"1.2.840.10008.1.2.4.202": "high-throughput JPEG 2000 lossless with RPCL",
	"1.2.840.10008.1.2.4.203": "high-throughput JPEG 2000",
	"1.2.840.10008.1.2.4.110": "JPEG XL lossless",
	"1.2.840.10008.1.2.4.111": "JPEG XL JPEG recompression",
	"1.2.840.10008.1.2.4.112": "JPEG XL",
}
