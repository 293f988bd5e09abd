package kit

import "encoding/binary"

func orderOf(syntax string) binary.AppendByteOrder {
	if syntax == ExplicitBig {
		return binary.BigEndian
	}
	return binary.LittleEndian
}

// encodeRLE writes one frame as RLE lossless (PS3.5 annex G): byte planes, the
// most significant first, each row packed for itself (G.3.1).
func encodeRLE(words []uint32, allocated, columns int) []byte {
	planes := allocated / 8
	frame := make([]byte, 64)
	binary.LittleEndian.PutUint32(frame, uint32(planes))
	for plane := range planes {
		binary.LittleEndian.PutUint32(frame[4+4*plane:], uint32(len(frame)))
		shift := 8 * (planes - 1 - plane)
		row := make([]byte, columns)
		for start := 0; start < len(words); start += columns {
			for i, word := range words[start : start+columns] {
				row[i] = byte(word >> shift)
			}
			frame = packBits(frame, row)
		}
		if len(frame)%2 == 1 {
			frame = append(frame, 0)
		}
	}
	return frame
}

// packBits appends a row in runs (PS3.5 G.3.1).
func packBits(out, row []byte) []byte {
	for len(row) > 0 {
		run := 1
		for run < len(row) && run < 128 && row[run] == row[0] {
			run++
		}
		if run > 1 {
			out = append(out, byte(1-run), row[0])
			row = row[run:]
			continue
		}
		literal := 1
		for literal < len(row) && literal < 128 && (literal+1 >= len(row) || row[literal] != row[literal+1]) {
			literal++
		}
		out = append(append(out, byte(literal-1)), row[:literal]...)
		row = row[literal:]
	}
	return out
}
