package uring

import "encoding/binary"

// bigEndian is a property of the machine.
var bigEndian = binary.NativeEndian.Uint16([]byte{0, 1}) == 1
