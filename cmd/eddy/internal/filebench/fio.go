package filebench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
)

// FioInstalled says whether fio can be run.
func FioInstalled() bool {
	_, err := exec.LookPath("fio")
	return err == nil
}

// fioReport is the part of fio's JSON output that is used.
type fioReport struct {
	Jobs []struct {
		Read struct {
			IOPS    float64 `json:"iops"`
			Latency struct {
				Max        float64            `json:"max"`
				Percentile map[string]float64 `json:"percentile"`
			} `json:"clat_ns"`
		} `json:"read"`
		UserCPU   float64 `json:"usr_cpu"` // percent of one processor
		SystemCPU float64 `json:"sys_cpu"`
	} `json:"jobs"`
}

// runFio has fio's io_uring engine read the same file with one thread, as many requests in flight as the
// other sides have.
func runFio(ctx context.Context, work Work) (Sample, error) {
	direct := 0
	if work.Direct {
		direct = 1
	}
	args := []string{
		"--name=eddy", "--filename=" + strings.NewReplacer(`\`, `\\`, ":", `\:`).Replace(work.Path), "--readonly",
		"--rw=randread", "--ioengine=io_uring", "--norandommap", "--randrepeat=0", "--time_based", "--output-format=json",
		fmt.Sprintf("--bs=%d", BlockSize), fmt.Sprintf("--size=%d", work.Size), fmt.Sprintf("--direct=%d", direct),
		fmt.Sprintf("--iodepth=%d", work.Goroutines*max(work.Batch, 1)),
		fmt.Sprintf("--ramp_time=%dms", int(work.Warmup*1e3)), fmt.Sprintf("--runtime=%dms", int(work.Seconds*1e3)),
	}
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, "fio", args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return Sample{}, fmt.Errorf("%w: %s", err, strings.TrimSpace(stderr.String()))
	}
	// fio may write notes before the object.
	_, object, _ := strings.Cut(stdout.String(), "{")
	var report fioReport
	if err := json.Unmarshal([]byte("{"+object), &report); err != nil || len(report.Jobs) != 1 {
		return Sample{}, fmt.Errorf("fio's output is not understood (%w)", err)
	}
	job := report.Jobs[0]
	s := Sample{
		IOPS: job.Read.IOPS, Threads: 1, Worst: job.Read.Latency.Max / 1e3,
		P50: job.Read.Latency.Percentile["50.000000"] / 1e3, P99: job.Read.Latency.Percentile["99.000000"] / 1e3,
	}
	if s.IOPS > 0 {
		s.CPU = (job.UserCPU + job.SystemCPU) / 100 / s.IOPS * 1e6
	}
	return s, nil
}
