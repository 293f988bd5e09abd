package dicomio

import "runtime"

// Limits bound what one study may cost before any of its bytes are believed.
// Crossing one is a refusal with the code too_large.
type Limits struct {
	FileBytes   int64 // of one file, and of what one deflated data set may inflate to
	HeaderBytes int64 // of the attributes of one file, pixel data left out
	StudyBytes  int64 // of all files of one source together
	Files       int   // in one source, DICOM or not
	FramePixels int   // rows × columns of one frame
	Frames      int   // of one instance
	StudyFrames int   // of all multi-frame instances of one study together
	ZipRatio    int   // inflated ÷ archive size, asked of archives that inflate beyond 64 MiB
}

// DefaultLimits leave room for the largest clinical MR studies and stop bombs.
func DefaultLimits() Limits {
	return Limits{
		FileBytes:   1 << 30,
		HeaderBytes: 16 << 20,
		StudyBytes:  8 << 30,
		Files:       100_000,
		FramePixels: 4096 * 4096,
		Frames:      20_000,
		StudyFrames: 100_000,
		ZipRatio:    100,
	}
}

// orDefault fills what is left at zero.
func (l Limits) orDefault() Limits {
	d := DefaultLimits()
	fill(&l.FileBytes, d.FileBytes)
	fill(&l.HeaderBytes, d.HeaderBytes)
	fill(&l.StudyBytes, d.StudyBytes)
	fill(&l.Files, d.Files)
	fill(&l.FramePixels, d.FramePixels)
	fill(&l.Frames, d.Frames)
	fill(&l.StudyFrames, d.StudyFrames)
	fill(&l.ZipRatio, d.ZipRatio)
	return l
}

func fill[T int | int64](field *T, value T) {
	if *field <= 0 {
		*field = value
	}
}

func workers(asked int) int {
	if asked > 0 {
		return asked
	}
	return runtime.GOMAXPROCS(0)
}
