package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"

	"neurotriage/pacs/dimse"
)

const (
	mrImage = "1.2.840.10008.5.1.4.1.1.4"
	uidRoot = "2.25.71000000000000000"
)

// instance is the SOP instance UID of object i. All are of one length, so that an
// image can be renumbered in place.
func instance(i int) string { return fmt.Sprintf("%s%08d", uidRoot, i) }

// newImage is the dataset of an MR image of 288 × 288 pixels, explicit VR little
// endian, whole enough for any receiver.
func newImage(i int) []byte {
	const side = 288
	var b []byte
	text := func(tag uint32, vr, value string) { b = appendElement(b, tag, vr, []byte(value)) }
	number := func(tag uint32, value uint16) { b = appendElement(b, tag, "US", []byte{byte(value), byte(value >> 8)}) }
	text(0x00080016, "UI", mrImage)
	text(0x00080018, "UI", instance(i))
	text(0x00080060, "CS", "MR")
	text(0x00100010, "PN", "BENCH^CSTORE")
	text(0x00100020, "LO", "BENCH")
	text(0x0020000D, "UI", uidRoot+".1")
	text(0x0020000E, "UI", uidRoot+".2")
	number(0x00280002, 1)
	text(0x00280004, "CS", "MONOCHROME2")
	number(0x00280010, side)
	number(0x00280011, side)
	number(0x00280100, 16)
	number(0x00280101, 12)
	number(0x00280102, 11)
	number(0x00280103, 0)
	pixels := make([]byte, 2*side*side)
	for p := range side * side {
		binary.LittleEndian.PutUint16(pixels[2*p:], uint16(p*2654435761>>20)&0xFFF)
	}
	return appendElement(b, 0x7FE00010, "OW", pixels)
}

// appendElement writes an element in explicit VR little endian.
func appendElement(b []byte, tag uint32, vr string, value []byte) []byte {
	n := len(value) + len(value)%2
	b = binary.LittleEndian.AppendUint16(b, uint16(tag>>16))
	b = binary.LittleEndian.AppendUint16(b, uint16(tag))
	b = append(b, vr...)
	if vr == "OB" || vr == "OW" {
		b = append(b, 0, 0)
		b = binary.LittleEndian.AppendUint32(b, uint32(n))
	} else {
		b = binary.LittleEndian.AppendUint16(b, uint16(n))
	}
	b = append(b, value...)
	if len(value)%2 == 0 {
		return b
	}
	if vr == "UI" || vr == "OB" {
		return append(b, 0)
	}
	return append(b, ' ')
}

// send has the associations share the objects: each sends the next one that
// nobody has sent.
func send(ctx context.Context, address string, quick bool, associations, objects int) error {
	var (
		next    atomic.Int64
		running sync.WaitGroup
		faults  = make([]error, associations)
	)
	for n := range associations {
		running.Go(func() { faults[n] = sendSome(ctx, address, quick, &next, objects) })
	}
	running.Wait()
	return errors.Join(faults...)
}

// plain hides that a connection is TCP, so that the kernel acknowledges as it does
// for most senders: late.
type plain struct{ net.Conn }

func sendSome(ctx context.Context, address string, quick bool, next *atomic.Int64, objects int) error {
	options := dimse.ClientOptions{Address: address, Calling: "BENCH", Called: "RECEIVER", Propose: []dimse.Proposal{
		{SOPClass: mrImage, TransferSyntaxes: []string{dimse.ExplicitVRLittleEndian}},
	}}
	if !quick {
		options.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, address)
			return plain{conn}, err
		}
	}
	c, err := dimse.Dial(ctx, options)
	if err != nil {
		return err
	}
	defer c.Abort() //nolint:errcheck // it does nothing after Release
	image := newImage(0)
	uid := image[bytes.Index(image, []byte(instance(0))):][:len(instance(0))]
	var data bytes.Reader
	for {
		i := int(next.Add(1)) - 1
		if i >= objects {
			return c.Release(ctx)
		}
		copy(uid, instance(i))
		data.Reset(image)
		object := dimse.Object{SOPClassUID: mrImage, SOPInstanceUID: string(uid), TransferSyntaxUID: dimse.ExplicitVRLittleEndian, Data: &data}
		if err := c.Store(ctx, object); err != nil {
			return err
		}
	}
}
