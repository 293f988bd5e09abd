package dimse

import (
	"net"
	"syscall"
)

// quickAck returns what makes the kernel acknowledge at once what comes next. Many
// DICOM systems write a PDU's head and content apart without TCP_NODELAY; the
// content then waits until the head is acknowledged, which Linux delays by 40 ms,
// as long as the storing of many objects takes. The kernel forgets the wish as soon
// as it likes, so it is repeated for each message.
func quickAck(conn net.Conn) func() {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return func() {}
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return func() {}
	}
	set := func(fd uintptr) {
		syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_QUICKACK, 1) //nolint:errcheck // it only hastens
	}
	return func() { raw.Control(set) } //nolint:errcheck // a closed connection shows itself when it is read
}
