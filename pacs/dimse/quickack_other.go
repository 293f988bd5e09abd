//go:build !linux

package dimse

import "net"

// quickAck does nothing where the system has no such wish.
func quickAck(net.Conn) func() { return func() {} }
