package eddy_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/eddyio/eddy"
)

// exampleFile is a file with ten lines of ten bytes.
func exampleFile() string {
	f, err := os.CreateTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	for i := range 10 {
		fmt.Fprintf(f, "line %04d\n", i)
	}
	return f.Name()
}

func Example() {
	name := exampleFile()
	defer os.Remove(name)

	f, err := eddy.Open(name)
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	p := make([]byte, 10)
	if _, err := f.ReadAt(p, 70); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%q\n", p)
	_, err = f.ReadAt(p, 95)
	fmt.Println(err == io.EOF)
	// Output:
	// "line 0007\n"
	// true
}

func ExampleFile_ReadAtContext() {
	name := exampleFile()
	defer os.Remove(name)
	f, err := eddy.Open(name)
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()

	// Even if the file system never answers, this is over in a second.
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	p := make([]byte, 10)
	n, err := f.ReadAtContext(ctx, p, 20)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		fmt.Println("the disk does not answer")
	case err != nil:
		log.Fatal(err)
	default:
		fmt.Printf("%q\n", p[:n])
	}
	// Output: "line 0002\n"
}

func ExampleFile_ReadBatch() {
	name := exampleFile()
	defer os.Remove(name)
	f, err := eddy.Open(name)
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()

	reads := []eddy.BatchRead{
		{Buf: make([]byte, 9), Off: 30},
		{Buf: make([]byte, 9), Off: 10},
		{Buf: make([]byte, 9), Off: 96},
	}
	if err := f.ReadBatch(context.Background(), reads); err != nil {
		fmt.Println("some failed, the first with", err)
	}
	for _, r := range reads {
		fmt.Printf("%q %v\n", r.Buf[:r.N], r.Err)
	}
	// Output:
	// some failed, the first with EOF
	// "line 0003" <nil>
	// "line 0001" <nil>
	// "009\n" EOF
}

func ExampleFile_WriteBatch() {
	f, err := eddy.Create(filepath.Join(os.TempDir(), "eddy-example-pages"))
	if err != nil {
		log.Fatal(err)
	}
	defer os.Remove(f.Name())
	defer f.Close()

	err = f.WriteBatch(context.Background(), []eddy.BatchWrite{
		{Buf: []byte("second page"), Off: 4096},
		{Buf: []byte("first page"), Off: 0},
	})
	if err == nil {
		err = f.Sync() // WriteBatch does not
	}
	info, statErr := f.Stat()
	if err = errors.Join(err, statErr); err != nil {
		log.Fatal(err)
	}
	fmt.Println(info.Size())
	// Output: 4107
}

func ExampleDriver_Status() {
	d, err := eddy.New(eddy.Config{Backend: eddy.BackendPortable})
	if err != nil {
		log.Fatal(err)
	}
	defer d.Close()
	s := d.Status()
	fmt.Println(s.Backend, len(s.Fallbacks))
	// Output: portable 0
}

func ExampleDriver_Shutdown() {
	d, err := eddy.New(eddy.Config{})
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	var stuck *eddy.ShutdownError
	if err := d.Shutdown(ctx); errors.As(err, &stuck) {
		fmt.Println("the kernel still has", stuck.Stuck)
	}
	_, err = d.Open("anything")
	fmt.Println(errors.Is(err, eddy.ErrShutdown))
	// Output: true
}

func ExampleWriteFile() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	name := filepath.Join(dir, "greeting")
	if err := eddy.WriteFile(name, []byte("hello"), 0o600); err != nil {
		log.Fatal(err)
	}
	data, err := eddy.ReadFile(name)
	fmt.Printf("%s %v\n", data, err)
	// Output: hello <nil>
}
