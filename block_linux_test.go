package eddy_test

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// blockSize is the unit of files whose every block says which it is.
const blockSize = 4096

// makeBlock fills p with block number k in a version. Whatever part of it is
// replaced by anything else, checkBlock notices.
//
//	0        8          16                       4088    4096
//	+--------+----------+------------------------+-------+
//	| number | version  | a stream made of both  | crc32 |
//	+--------+----------+------------------------+-------+
func makeBlock(p []byte, k, version uint64) {
	binary.LittleEndian.PutUint64(p, k)
	binary.LittleEndian.PutUint64(p[8:], version)
	x := k*0x9e3779b97f4a7c15 ^ version ^ 1
	for i := 16; i < blockSize-8; i += 8 {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		binary.LittleEndian.PutUint64(p[i:], x)
	}
	binary.LittleEndian.PutUint64(p[blockSize-8:], uint64(crc32.ChecksumIEEE(p[:blockSize-8])))
}

// checkBlock tells what is wrong with what was read as block k.
func checkBlock(p []byte, k uint64) error {
	if got := binary.LittleEndian.Uint64(p); got != k {
		return fmt.Errorf("block %d has the bytes of block %d (first bytes % x)", k, got, p[:16])
	}
	if uint64(crc32.ChecksumIEEE(p[:blockSize-8])) != binary.LittleEndian.Uint64(p[blockSize-8:]) {
		return fmt.Errorf("block %d is torn", k)
	}
	return nil
}

// blocks is n blocks in version 0.
func blocks(n int) []byte {
	p := make([]byte, n*blockSize)
	for k := range n {
		makeBlock(p[k*blockSize:], uint64(k), 0)
	}
	return p
}
