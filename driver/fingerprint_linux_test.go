//go:build linux && explore

package driver

import (
	"reflect"
	"runtime"
	"slices"
	"strings"

	"github.com/eddyio/eddy/internal/sys"
)

// fingerprint hashes all that can be reached from a model, field by field, so
// that a field added to the driver is part of the state without anybody having
// to think of it. Pointers count by what they point to and by which of them are
// equal, not by address.
//
// Left out is what has no influence on what happens next: counters, the scratch
// space of a reap, the owned eventfd, functions, and whatever is tagged `state:"-"`.
type fingerprint struct {
	h    uint64
	seen []place
}

// place tells a structure from its first field.
type place struct {
	address uintptr
	of      reflect.Type
}

func mix(h, x uint64) uint64 {
	h = (h ^ x) * 0x9e3779b97f4a7c15
	return h ^ h>>29
}

var (
	typeCounters = reflect.TypeFor[counters]()
	typeFD       = reflect.TypeFor[sys.FD]()
	typePinner   = reflect.TypeFor[runtime.Pinner]()
	typeRun      = reflect.TypeFor[run]()
	typeOp       = reflect.TypeFor[Op]()
)

func (f *fingerprint) of(model any) uint64 {
	f.h, f.seen = 0, f.seen[:0]
	f.walk(reflect.ValueOf(model))
	return f.h
}

func (f *fingerprint) add(x uint64) { f.h = mix(f.h, x) }

func (f *fingerprint) walk(v reflect.Value) {
	switch v.Kind() {
	case reflect.Bool:
		if v.Bool() {
			f.add(2)
		} else {
			f.add(1)
		}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		f.add(uint64(v.Int()) + 3)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		f.add(v.Uint() + 3)
	case reflect.String:
		f.add(uint64(v.Len()))
	case reflect.Pointer:
		f.pointer(v)
	case reflect.Interface:
		if v.IsNil() {
			f.add(5)
		} else {
			f.walk(v.Elem())
		}
	case reflect.Slice:
		f.add(uint64(v.Len()) + 7)
		for i := range v.Len() {
			f.walk(v.Index(i))
		}
	case reflect.Array:
		for i := range v.Len() {
			f.walk(v.Index(i))
		}
	case reflect.Struct:
		f.structure(v)
	case reflect.Chan, reflect.Map:
		f.add(uint64(v.Len()) + 11)
	case reflect.Func, reflect.UnsafePointer, reflect.Uintptr:
	default:
		panic("fingerprint of a " + v.Kind().String())
	}
}

func (f *fingerprint) pointer(v reflect.Value) {
	if v.IsNil() {
		f.add(13)
		return
	}
	if v.Type().Elem() == typeOp {
		f.structure(v.Elem())
	} else if f.first(place{v.Pointer(), v.Type().Elem()}) {
		f.walk(v.Elem())
	}
}

// first notes a place, and tells whether it is new. If not, its number counts.
func (f *fingerprint) first(p place) bool {
	for i, known := range f.seen {
		if known == p {
			f.add(uint64(i) + 17)
			return false
		}
	}
	f.seen = append(f.seen, p)
	return true
}

func (f *fingerprint) structure(v reflect.Value) {
	p := planOf(v.Type())
	switch p.kind {
	case kindNone:
		return
	case kindOp: // asleep and shut are told apart by place alone
		if !f.first(place{v.Addr().Pointer(), typeOp}) {
			return
		}
	case kindPinner:
		n := 0
		if p := v.Field(0); !p.IsNil() {
			n = p.Elem().FieldByName("refs").Len()
		}
		f.add(uint64(n) + 19)
		return
	case kindSlab:
		f.slab(v)
		return
	case kindPointer: // an atomic.Pointer says by its first field to what
		f.pointer(reflect.NewAt(v.Type().Field(0).Type.Elem().Elem(), v.Field(2).UnsafePointer()))
		return
	}
	for _, i := range p.fields {
		f.walk(v.Field(i))
	}
}

// slab walks the slots that have ever been used.
func (f *fingerprint) slab(v reflect.Value) {
	used := int(v.FieldByName("used").Uint())
	f.add(uint64(used))
	f.add(v.FieldByName("length").Uint())
	f.add(v.FieldByName("vacant").Uint())
	chunks := v.FieldByName("chunks")
	for i := range used {
		chunk := chunks.Index(i / 64).Elem()
		f.walk(chunk.Index(i % chunk.Len()))
	}
}

type structKind int

const (
	kindPlain structKind = iota
	kindNone
	kindOp
	kindPinner
	kindSlab
	kindPointer
)

// structPlan is how to walk a structure.
type structPlan struct {
	kind   structKind
	fields []int
}

var plans = map[reflect.Type]*structPlan{}

func planOf(t reflect.Type) *structPlan {
	p, ok := plans[t]
	if ok {
		return p
	}
	p = &structPlan{}
	switch {
	case t == typeCounters, t == typeFD, t == typeRun:
		p.kind = kindNone
	case t == typeOp:
		p.kind = kindOp
	case t == typePinner:
		p.kind = kindPinner
	case strings.HasPrefix(t.Name(), "Slab["):
		p.kind = kindSlab
	case strings.HasPrefix(t.Name(), "Pointer[") && t.PkgPath() == "sync/atomic":
		p.kind = kindPointer
	}
	for i := range t.NumField() {
		field := t.Field(i)
		switch {
		case field.Tag.Get("state") == "-", field.Name == "cqes", field.Name == "_":
		case field.Type.Kind() == reflect.Func, field.Type.Kind() == reflect.Struct && field.Type.NumField() == 0:
		case field.Type.Kind() == reflect.Pointer && slices.Contains(unseen, field.Type.Elem()):
		default:
			p.fields = append(p.fields, i)
		}
	}
	plans[t] = p
	return p
}

// unseen are the types whose contents are left out.
var unseen = []reflect.Type{typeCounters, typeFD, typeRun}
