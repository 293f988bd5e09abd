package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"neurotriage/events"
	"neurotriage/pacs/dicomweb"
	"neurotriage/pacs/dimse"
)

// taken are the times of one round, in seconds.
type taken struct{ sending, reading, back float64 }

// round sends the images as a study of their own and waits for its report.
func (s subject) round(ctx context.Context, images [][]byte, archive string, number int) (t taken, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	former, err := valueOf(images[0], 0x0020, 0x000D)
	if err != nil {
		return t, err
	}
	study := former[:len(former)-1] + string(rune('0'+number%10))
	if number%10 == 0 || study == former {
		study = former[:len(former)-2] + fmt.Sprintf("%02d", 10+number)
	}
	begin := time.Now()
	if err := s.send(ctx, images, former, study); err != nil {
		return t, err
	}
	last := time.Now()
	t.sending = last.Sub(begin).Seconds()
	if err := inArchive(ctx, archive, study); err != nil {
		return t, err
	}
	t.back = time.Since(last).Seconds()
	t.reading, err = s.reading(ctx, study)
	return t, err
}

// send sends the images over one association.
func (s subject) send(ctx context.Context, images [][]byte, former, study string) error {
	class, err := valueOf(images[0], 0x0002, 0x0002)
	if err != nil {
		return err
	}
	syntax, err := valueOf(images[0], 0x0002, 0x0010)
	if err != nil {
		return err
	}
	conn, err := dimse.Dial(ctx, dimse.ClientOptions{
		Address: s.DICOM, Called: "NEUROTRIAGE", Calling: "BENCH", Propose: []dimse.Proposal{{SOPClass: class, TransferSyntaxes: []string{syntax}}},
	})
	if err != nil {
		return err
	}
	defer func() { _ = conn.Abort() }()
	for _, image := range images {
		instance, err := valueOf(image, 0x0002, 0x0003)
		if err != nil {
			return err
		}
		size := binary.LittleEndian.Uint32(image[140:]) // of the meta group (PS3.10 7.1)
		data := bytes.ReplaceAll(image[144+size:], []byte(former), []byte(study))
		err = conn.Store(ctx, dimse.Object{SOPClassUID: class, SOPInstanceUID: instance, TransferSyntaxUID: syntax, Data: bytes.NewReader(data)})
		if err != nil {
			return err
		}
	}
	return conn.Release(ctx)
}

// valueOf is a UID of a file in little endian, explicit or implicit.
func valueOf(data []byte, group, element uint16) (string, error) {
	tag := binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint16(nil, group), element)
	at := bytes.Index(data, tag)
	if at < 0 || at+8 > len(data) {
		return "", fmt.Errorf("no element (%04X,%04X)", group, element)
	}
	length := int(binary.LittleEndian.Uint16(data[at+4:]))
	if data[at+4] == 'U' && data[at+5] == 'I' {
		length = int(binary.LittleEndian.Uint16(data[at+6:]))
	}
	if at+8+length > len(data) {
		return "", fmt.Errorf("element (%04X,%04X) is cut off", group, element)
	}
	return strings.TrimRight(string(data[at+8:at+8+length]), "\x00"), nil
}

// inArchive waits until QIDO-RS finds the report.
func inArchive(ctx context.Context, archive, study string) error {
	client, err := dicomweb.New(dicomweb.Options{Root: archive, Guard: &dicomweb.Guard{Allow: []string{archive}}})
	if err != nil {
		return err
	}
	defer client.Close()
	for ; ctx.Err() == nil; time.Sleep(5 * time.Millisecond) {
		found, err := client.Search(ctx, url.Values{"Modality": {"SR"}}, "studies", study, "series")
		var status *dicomweb.StatusError
		switch {
		case len(found) > 0:
			return nil
		case err != nil && !errors.As(err, &status): // 404: the study is not there yet
			return err
		}
	}
	return fmt.Errorf("no report in the archive: %w", ctx.Err())
}

// reading is what the finding says of its own time.
func (s subject) reading(ctx context.Context, study string) (float64, error) {
	bus, err := events.Connect(ctx, events.Options{URL: s.NATS, Instance: "bench"})
	if err != nil {
		return 0, err
	}
	defer bus.Close()
	entry, _, err := bus.Entry(ctx, study)
	if err != nil {
		return 0, err
	}
	if entry.Finding == nil {
		return 0, errors.New("the worklist has no finding")
	}
	f, found, err := bus.Finding(ctx, entry.Finding.ID)
	if err != nil || !found {
		return 0, errors.Join(err, errors.New("the finding is not kept"))
	}
	fmt.Printf("study %s: %s, %d reports\n", study, f.Disposition, len(f.Reports))
	return f.Finished.Sub(f.Started).Seconds(), nil
}
