package dicomio

// This file is the place where codecs plug in: a codec is one function and one
// line of codecFor, or of compressed for the decoders of the subfolder codec.
// Nothing else in the room knows which syntaxes are compressed.

// FrameHeader is what a codec may know of the frame it decodes (PS3.3 C.7.6.3).
type FrameHeader struct {
	Rows, Columns   int
	Samples         int // samples per pixel; 1 for every image that reaches a codec today
	BitsAllocated   int // 8, 16 or 32
	BitsStored      int
	HighBit         int
	Signed          bool
	Photometric     string // photometric interpretation, as stored
	InterleavedByte bool   // planar configuration 0
}

// FrameBytes is the length of the native frame: what a codec must return.
func (h FrameHeader) FrameBytes() int {
	return h.Rows * h.Columns * h.Samples * h.BitsAllocated / 8
}

// Codec decodes one frame. frame holds the frame's fragments joined (PS3.5 A.4)
// and belongs to the caller, who reuses it afterwards. dst has FrameBytes bytes
// of unknown content; the codec fills it with native little endian samples of
// BitsAllocated bits, sign-extended from its codestream's own precision where
// that is below BitsStored. An error means that the frame is damaged.
//
// A codec checks the codestream's own dimensions against header before it
// allocates anything.
type Codec func(dst, frame []byte, header FrameHeader) error

// codecFor gives the codec of an encapsulated transfer syntax, or nil.
func codecFor(transferSyntax string) Codec {
	switch transferSyntax {
	case rleLossless:
		return decodeRLE
	case encapsulatedUnc:
		return decodeNative
	}
	return compressed(transferSyntax)
}

// readable reports whether pixels of this transfer syntax can be decoded.
func readable(transferSyntax string) bool {
	switch transferSyntax {
	case implicitLittle, explicitLittle, explicitBig, deflatedLittle:
		return true
	}
	return codecFor(transferSyntax) != nil
}
