#!/bin/sh
# layout.sh HEADER OUT writes the layout of io_uring's UAPI, as HEADER has it
# (include/uapi/linux/io_uring.h of a kernel tree), to OUT.
set -eu
header=$(realpath "$1")
out=$2
here=$(dirname "$0")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Every macro with a value and every enumerator, but not the zero-copy receive
# interface, which the package does not have.
sed -nE \
	-e 's/^#define[ \t]+((IORING|IOSQE|IOU|IO_URING|SPLICE_F)_[A-Z0-9_]+)[ \t]+.*/NAME(\1);/p' \
	-e 's/^[ \t]+((IORING|IOU|SOCKET_URING|IO_WQ)_[A-Z0-9_]+)[ \t]*(=.*|,.*)?$/NAME(\1);/p' \
	"$header" | grep -v ZCRX_AREA >"$work/names.h"
"${CC:-cc}" -Wall -Werror -DUAPI_HEADER="\"$header\"" -DNAMES="\"$work/names.h\"" -o "$work/layout" "$here/layout.c"
{
	echo "# Made by layout.sh from include/uapi/linux/io_uring.h; see uring's go:generate line."
	"$work/layout"
} >"$work/out"
mv "$work/out" "$out"
