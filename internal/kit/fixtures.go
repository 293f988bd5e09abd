package kit

// Fixtures are the archives of testdata/dicom, which testdata/generate writes.
// They are made without compression, so that no version of a packer
// changes their bytes.
func Fixtures() []File {
	heads := Heads(12, 24, 24)
	withContrast := Series{Name: "t1c", Agent: "Gadovist", Images: heads}
	plain := Series{Name: "t1", Images: heads}
	t2 := Series{Name: "t2", Description: "T2 TSE AX", Timing: Timing{TR: 4000, TE: 100}, Images: heads}
	packed := withContrast
	packed.Syntax = RLE

	torn := Study{Name: "torn", Series: []Series{withContrast}}.Files()
	torn[5].Data = torn[5].Data[:len(torn[5].Data)/2]
	gap := Study{Name: "gap", Series: []Series{withContrast}}.Files()
	gap = append(gap[:5], gap[6:]...)

	return []File{
		{Name: "dicom/t1c.zip", Data: StoreFiles(Study{Name: "t1c", Series: []Series{withContrast}}.Files())},
		{Name: "dicom/t1c-rle.zip", Data: StoreFiles(Study{Name: "t1c-rle", Series: []Series{packed}}.Files())},
		{Name: "dicom/t1.zip", Data: StoreFiles(Study{Name: "t1", Series: []Series{plain, t2}}.Files())},
		{Name: "dicom/t2.zip", Data: StoreFiles(Study{Name: "t2", Series: []Series{t2}}.Files())},
		{Name: "dicom/torn.zip", Data: StoreFiles(torn)},
		{Name: "dicom/gap.zip", Data: StoreFiles(gap)},
	}
}
