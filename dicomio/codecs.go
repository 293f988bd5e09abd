package dicomio

import (
	"fmt"

	"neurotriage/dicomio/codec"
	"neurotriage/dicomio/codec/jpeg"
	"neurotriage/dicomio/codec/jpeg2000"
	"neurotriage/dicomio/codec/jpegls"
)

// compressed gives the decoder of a compressed transfer syntax (PS3.6 table
// A-1), or nil. Each family's decoder finds the process in the codestream, so a
// file that names the wrong one of a family is read all the same.
func compressed(transferSyntax string) Codec {
	switch transferSyntax {
	case "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51", // baseline, extended
		"1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70": // lossless
		return adapted(jpeg.Decode)
	case "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81":
		return adapted(jpegls.Decode)
	case "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91",
		"1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.202", "1.2.840.10008.1.2.4.203": // high throughput
		return adapted(bounded(jpeg2000.Decode))
	}
	return nil
}

// wavePixels is the largest JPEG 2000 frame that is decoded: one of the worst
// kind takes a core about 1.3 s, and no frame may take 2 s. MR images stay far
// below it.
const wavePixels = 2048 * 2048

func bounded(decode func(dst, src []byte, frame codec.Frame) error) func(dst, src []byte, frame codec.Frame) error {
	return func(dst, src []byte, frame codec.Frame) error {
		if frame.Rows*frame.Columns > wavePixels {
			return fmt.Errorf("a JPEG 2000 frame of %d × %d pixels, more than %d together: %w", frame.Rows, frame.Columns, wavePixels, codec.ErrUnsupported)
		}
		return decode(dst, src, frame)
	}
}

// adapted makes a codec of a decoder, which knows nothing of DICOM's header. A
// fault in a decoder is damage of the frame that showed it, and no end of the
// process.
func adapted(decode func(dst, src []byte, frame codec.Frame) error) Codec {
	return func(dst, frame []byte, h FrameHeader) (err error) {
		defer func() {
			if cause := recover(); cause != nil {
				err = fmt.Errorf("decode a frame of %d bytes: %v", len(frame), cause)
			}
		}()
		return decode(dst, frame, codec.Frame{
			Rows: h.Rows, Columns: h.Columns, BitsAllocated: h.BitsAllocated,
			BitsStored: h.BitsStored, HighBit: h.HighBit, Signed: h.Signed,
		})
	}
}
