package dimse_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"

	"neurotriage/pacs/dimse"
)

// A server that counts bytes, and a client that sends it an image.
func Example() {
	const mrImage = "1.2.840.10008.5.1.4.1.1.4"
	ctx := context.Background()
	server, err := dimse.NewServer(dimse.ServerOptions{
		AETitles:   []string{"NEUROTRIAGE"},
		SOPClasses: func(uid string) bool { return uid == mrImage },
		Store: func(_ context.Context, r dimse.StoreRequest, data io.Reader) (dimse.Status, error) {
			n, err := io.Copy(io.Discard, data)
			fmt.Printf("%s sent %s, %d bytes\n", r.Association.Calling, r.SOPInstanceUID, n)
			return dimse.StatusSuccess, err
		},
	})
	if err != nil {
		panic(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go server.Serve(listener)
	defer server.Shutdown(ctx)

	conn, err := dimse.Dial(ctx, dimse.ClientOptions{
		Address: listener.Addr().String(), Calling: "SCANNER", Called: "NEUROTRIAGE",
		Propose: []dimse.Proposal{{SOPClass: mrImage, TransferSyntaxes: []string{dimse.ExplicitVRLittleEndian}}},
	})
	if err != nil {
		panic(err)
	}
	defer conn.Abort()
	image := dimse.Object{SOPClassUID: mrImage, SOPInstanceUID: "1.2.3", TransferSyntaxUID: dimse.ExplicitVRLittleEndian,
		Data: bytes.NewReader(make([]byte, 170_000))}
	fmt.Println("stored:", conn.Store(ctx, image))
	fmt.Println("released:", conn.Release(ctx))
	// Output:
	// SCANNER sent 1.2.3, 170000 bytes
	// stored: <nil>
	// released: <nil>
}
