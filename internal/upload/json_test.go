package upload_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/upload"
)

const jobID = "abcdefghijklmnopqrstuvwx27"

func fullJob() upload.Job {
	return upload.Job{
		ID: jobID, SpaceID: "s", Path: "/a/é", Name: "<n>", MIME: "text/plain", Size: 1<<53 - 1, CID: cidOf("x"), State: upload.Waiting,
		Attempts: 3, SentBytes: 4, LastError: "e\u2028\n", Permanent: true, NextAttemptAtMs: 5, CreatedAtMs: 6, UpdatedAtMs: 7,
		Renderer: json.RawMessage(`{"a":[1.0,{"b":null}]}`),
	}
}

func TestJobJSON(t *testing.T) {
	for _, job := range []upload.Job{fullJob(), {ID: jobID, SpaceID: "s", State: upload.Removed}, {ID: jobID, SpaceID: "s", Spooled: true, State: upload.Done}} {
		value, err := job.Value()
		if err != nil {
			t.Fatal(err)
		}
		other, err := json.Marshal(job)
		if err != nil {
			t.Fatal(err)
		}
		for _, data := range [][]byte{value, other} {
			var got upload.Job
			if err := json.Unmarshal(data, &got); err != nil || !reflect.DeepEqual(got, job) {
				t.Errorf("json.Unmarshal(%s) = %+v, %v, want %+v", data, got, err, job)
			}
		}
	}
	full := fullJob()
	want := `{"id":"` + jobID + `","spaceId":"s","path":"/a/é","name":"<n>","mime":"text/plain","size":9007199254740991,"cid":"` + string(cidOf("x")) +
		`","state":"waiting","attempts":3,"sentBytes":4,"lastError":"e\u2028\n","permanent":true,"nextAttemptAtMs":5,"createdAtMs":6,"updatedAtMs":7,` +
		`"renderer":{"a":[1.0,{"b":null}]}}`
	if got, err := full.Value(); err != nil || string(got) != want {
		t.Errorf("Value() = %s, %v, want %s", got, err, want)
	}
}

func TestParseJobRefuses(t *testing.T) {
	job := fullJob()
	good, err := job.Value()
	if err != nil {
		t.Fatal(err)
	}
	for field, bad := range map[string][]string{
		"id": {
			`""`, `1`, `null`, `"x"`, `"a\n"`, `"\ud83d"`, `"` + jobID + `a"`, `"` + jobID[1:] + `"`, `"` + strings.ToUpper(jobID) + `"`, `"` + jobID[1:] + `1"`,
			`"` + strings.Repeat("x", core.MaxIDBytes+1) + `"`, ``,
		},
		"spaceId":         {`""`, `1`, ``},
		"path":            {`1`, `null`, `""`, `"a"`, `"./a"`, `"C:"`, `"C:a"`, `"1:/a"`, `"\\a"`, `"/` + strings.Repeat("x", upload.MaxPathBytes+1) + `"`},
		"spooled":         {`true`, `1`, `"true"`, `null`},
		"name":            {`1`, `"` + strings.Repeat("x", upload.MaxNameBytes+1) + `"`},
		"mime":            {`[]`, `"` + strings.Repeat("x", upload.MaxMIMEBytes+1) + `"`},
		"size":            {`-1`, `1.0`, `9007199254740992`, `"1"`, ``},
		"cid":             {`""`, `"x"`, `1`, `"` + strings.ToUpper(string(cidOf("x"))) + `"`},
		"state":           {`""`, `"Done"`, `"list-again"`, `1`, ``},
		"attempts":        {`-1`, ``},
		"sentBytes":       {`-1`, ``},
		"lastError":       {`1`, `"` + strings.Repeat("x", upload.MaxErrorBytes+1) + `"`},
		"permanent":       {`0`},
		"nextAttemptAtMs": {`-1`},
		"createdAtMs":     {`1e3`, ``},
		"updatedAtMs":     {`null`, ``},
		"renderer":        {`[]`, `null`, `"x"`, `{"x":"` + strings.Repeat("x", upload.MaxRendererBytes) + `"}`},
		"extra":           {`1`},
	} {
		for _, value := range bad {
			var all map[string]json.RawMessage
			if err := json.Unmarshal(good, &all); err != nil {
				t.Fatal(err)
			}
			all[field] = json.RawMessage(value)
			if value == "" {
				delete(all, field)
			}
			data, err := json.Marshal(all)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := upload.ParseJob(data); !errors.Is(err, core.ErrInvalidUpload) || !strings.Contains(err.Error(), field) && field != "state" || got.ID != "" {
				t.Errorf("ParseJob(%.300s) = %+v, %v, want ErrInvalidUpload naming %s", data, got, err, field)
			}
		}
	}
	for _, data := range []string{"", "null", "[]", "{}", string(good) + "1", `{"id":"` + jobID + `","id":"` + jobID + `"}`, "{\"id\":\"\xff\"}"} {
		if _, err := upload.ParseJob([]byte(data)); !errors.Is(err, core.ErrInvalidUpload) {
			t.Errorf("ParseJob(%.100s) = %v", data, err)
		}
	}
}

// A job can be read on another system than that which has its file.
func TestParseJobPaths(t *testing.T) {
	for _, path := range []string{"/", "/a", `C:\a`, "c:/a", `\\host\share\a`, `\\?\C:\a`} {
		job := fullJob()
		job.Path = path
		value, err := job.Value()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := upload.ParseJob(value); err != nil || got.Path != path {
			t.Errorf("ParseJob(%s) = %+v, %v", value, got, err)
		}
	}
}

func FuzzParseJob(f *testing.F) {
	job := fullJob()
	value, err := job.Value()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(value)
	f.Add([]byte(`{"id":"` + jobID + `","spaceId":"s","size":0,"state":"done","attempts":0,"sentBytes":0,"createdAtMs":0,"updatedAtMs":0}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		job, err := upload.ParseJob(data)
		if err != nil {
			return
		}
		value, err := job.Value()
		if err != nil {
			t.Fatalf("Value() of %+v = %v", job, err)
		}
		again, err := upload.ParseJob(value)
		if err != nil || !reflect.DeepEqual(again, job) {
			t.Errorf("ParseJob(%s) = %+v, %v, want %+v", value, again, err, job)
		}
	})
}
