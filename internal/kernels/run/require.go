package main

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// debian are the packages of what a run needs of the machine it runs on.
var debian = map[string]string{
	"qemu-system-x86_64":  "qemu-system-x86",
	"qemu-system-aarch64": "qemu-system-arm",
	"qemu-i386-static":    "qemu-user-static",
	"qemu-aarch64-static": "qemu-user-static",
	"qemu-s390x-static":   "qemu-user-static",
	"apt-get":             "apt",
	"apt-cache":           "apt",
	"dpkg-deb":            "dpkg",
	keyring:               "debian-archive-keyring",
}

// userEmulators run programs of other processors.
var userEmulators = map[string]string{
	"386":   "qemu-i386-static",
	"arm64": "qemu-aarch64-static",
	"s390x": "qemu-s390x-static",
}

// requirements are the programs and files that the machines need, or the
// fetching of their kernels, where that is still to be done.
func requirements(s settings, list []*machine) map[string]bool {
	need := map[string]bool{}
	for _, m := range list {
		if m.suite == "" {
			need[userEmulators[m.arch]] = true
			continue
		}
		need[emulators[m.kernelFor()].program] = true
		if !cached(kernelFile(s, m)) {
			for _, what := range []string{"apt-get", "apt-cache", "dpkg-deb", keyring} {
				need[what] = true
			}
		}
	}
	return need
}

// require says all at once what is missing, and how to come by it, before
// anything is fetched or built.
func require(s settings, list []*machine) error {
	var missing []string
	packages := map[string]bool{}
	for _, what := range slices.Sorted(maps.Keys(requirements(s, list))) {
		_, err := exec.LookPath(what)
		if strings.HasPrefix(what, "/") {
			_, err = os.Stat(what)
		}
		if err != nil {
			missing = append(missing, what)
			packages[debian[what]] = true
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return fmt.Errorf("missing: %s. On Debian, as root:\n\tapt-get update && apt-get install --no-install-recommends %s\n"+
		"or choose machines that do without, with -only", strings.Join(missing, ", "), strings.Join(slices.Sorted(maps.Keys(packages)), " "))
}
