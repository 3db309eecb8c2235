package soma_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/soma-sdk/soma"
	"github.com/soma-sdk/soma/internal/somatest"
)

// Contents of uploads, small and large ones; several jobs have the same.
const uploadTexts = 40

func uploadText(n int) string {
	return fmt.Sprintf("text %d ", n) + strings.Repeat("x", n%5*70_000)
}

// uploader uploads texts into one space, and prints
//
//	space <id>      the space is there
//	job <id> <n>    a job was enqueued, with text n
//	done <id>       a job is done
func uploader(dir, files string) int {
	db, err := soma.Open(dir)
	if err != nil {
		fmt.Println("error", err)
		return 1
	}
	ctx := context.Background()
	spaces, err := db.Spaces().List(ctx)
	if err == nil && len(spaces) == 0 {
		spaces = make([]soma.Space, 1)
		spaces[0], err = db.Spaces().Create(ctx, soma.NewSpace{Name: "uploads"})
	}
	if err != nil {
		fmt.Println("error", err)
		return 1
	}
	fmt.Println("space", spaces[0].ID)
	lines := make(chan string)
	go func() {
		for job := range db.Uploads().Watch(ctx) {
			if job.State == soma.UploadDone {
				lines <- "done " + job.ID
			}
		}
	}()
	go func() {
		for range 20 {
			n := rand.IntN(uploadTexts)
			src := soma.UploadSource{Path: filepath.Join(files, fmt.Sprint(n))}
			if n%2 == 0 {
				src = soma.UploadSource{Reader: strings.NewReader(uploadText(n))}
			}
			job, err := db.Uploads().Enqueue(ctx, spaces[0].ID, src)
			if err != nil {
				lines <- "error " + err.Error()
				return
			}
			lines <- fmt.Sprint("job ", job.ID, " ", n)
		}
	}()
	for line := range lines {
		fmt.Println(line)
	}
	return 0
}

// killedUploads is what killed uploaders have said.
type killedUploads struct {
	t     *testing.T
	dir   string
	space soma.SpaceID
	texts map[string]int
	done  map[string]bool
}

func (k *killedUploads) hear(line string) {
	word, rest, _ := strings.Cut(line, " ")
	id, n, _ := strings.Cut(rest, " ")
	switch word {
	case "space":
		if k.space != "" && string(k.space) != id {
			k.t.Errorf("the space is %s, was %s", id, k.space)
		}
		k.space = soma.SpaceID(id)
	case "job":
		text, err := strconv.Atoi(n)
		if err != nil {
			k.t.Fatal(err)
		}
		k.texts[id] = text
	case "done":
		k.done[id] = true
	default:
		k.t.Fatalf("uploader: %s", line)
	}
}

// check opens the directory, in which no job may be lost, and none done without its blob.
func (k *killedUploads) check(last bool) {
	k.t.Helper()
	db := somatest.OpenDir(k.t, k.dir)
	defer mustClose(k.t, db)
	if found, err := db.Verify(k.t.Context()); err != nil || len(found) > 0 {
		k.t.Errorf("Verify after a kill = %v, %v", found, err)
	}
	blobs, missing := map[soma.CID]bool{}, maps.Clone(k.texts)
	for job, err := range db.Uploads().List(k.t.Context()) {
		if err != nil {
			k.t.Fatal(err)
		}
		if last {
			job = untilUpload(k.t, db, job.ID, soma.UploadDone, soma.UploadFailed)
		}
		if job.State == soma.UploadFailed || job.Attempts > 1 || last && job.State != soma.UploadDone {
			k.t.Errorf("job is %+v", job)
		}
		n, known := k.texts[job.ID] // else it was killed before it could say so
		delete(missing, job.ID)
		if job.State != soma.UploadDone {
			if k.done[job.ID] {
				k.t.Errorf("job is %+v, it was done before", job)
			}
			continue
		}
		blobs[job.CID] = true
		b, err := db.Blobs().Open(k.t.Context(), k.space, job.CID)
		if err != nil {
			k.t.Fatal(err)
		}
		got, err := io.ReadAll(b)
		if err := errors.Join(err, b.Close()); err != nil || known && string(got) != uploadText(n) {
			k.t.Errorf("blob of text %d is %.20q, %v", n, got, err)
		}
	}
	for id, n := range missing {
		k.t.Errorf("job %s with text %d is lost", id, n)
	}
	if !last {
		return
	}
	there := 0
	for _, err := range db.Blobs().List(k.t.Context(), k.space) {
		if err != nil {
			k.t.Fatal(err)
		}
		there++
	}
	if there != len(blobs) {
		k.t.Errorf("%d blobs are there of %d that were uploaded", there, len(blobs))
	}
}

// Uploads survive kills at any moment: see killedUploads. SOMA_UPLOAD_KILLS says how many.
func TestUploadsSurviveKills(t *testing.T) {
	t.Parallel()
	kills := 30
	if n, err := strconv.Atoi(os.Getenv("SOMA_UPLOAD_KILLS")); err == nil {
		kills = n
	}
	k := &killedUploads{t: t, dir: t.TempDir(), texts: map[string]int{}, done: map[string]bool{}}
	files := t.TempDir()
	for n := range uploadTexts {
		if err := os.WriteFile(filepath.Join(files, fmt.Sprint(n)), []byte(uploadText(n)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	for round := range kills {
		p := launch(t, "uploader", k.dir, files)
		if rng.IntN(4) == 0 {
			time.Sleep(time.Duration(rng.IntN(100)) * time.Millisecond) // moves the moment, decides nothing
		} else {
			for range 1 + rng.IntN(40) {
				if !p.out.Scan() {
					break
				}
				k.hear(p.out.Text())
			}
			time.Sleep(time.Duration(rng.IntN(3000)) * time.Microsecond)
		}
		for _, line := range p.kill(t) {
			k.hear(line)
		}
		if round%6 == 5 {
			k.check(false)
		}
	}
	if len(k.done) == 0 || len(k.texts) == 0 {
		t.Fatalf("%d jobs, %d were done: nothing was looked at", len(k.texts), len(k.done))
	}
	k.check(true)
	left, err := os.ReadDir(filepath.Join(k.dir, "uploads"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range left { // what was there when it was killed before there was a job is kept for a while
		id, _, lost := strings.Cut(e.Name(), ".lost-")
		if _, known := k.texts[id]; known || !lost {
			t.Errorf("%s is left", e.Name())
		}
	}
}
