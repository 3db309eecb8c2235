package soma_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/soma-sdk/soma"
	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/somatest"
	"github.com/soma-sdk/soma/store"
)

// localMarker is in all that stays on this machine, sharedMarker in what is shared.
const (
	localMarker  = "qlocalmarkerq"
	sharedMarker = "qsharedmarkerq"
)

// localPlay writes local data and documents, in turn.
type localPlay struct {
	t     *testing.T
	db    *soma.DB
	space soma.SpaceID
	atMs  int64
	clock map[string]uint64 // of the client that types into a document
	r     *rand.Rand
}

// acts are what localPlay does. Data of further kinds that stays here belongs into it.
func (p *localPlay) acts() map[string]func(doc string) error {
	ctx, box := p.t.Context(), p.db.Mailbox()
	return map[string]func(string) error{
		"type": func(doc string) error {
			text := sharedMarker + " "
			var opts []soma.WriteOption
			if p.r.IntN(2) == 0 {
				opts = append(opts, soma.WithDraft(p.atMs))
			}
			_, err := p.db.Documents().Upsert(ctx, p.space, doc, somatest.Typed(9, p.clock[doc], text), opts...)
			p.clock[doc] += somatest.Units(text)
			return err
		},
		"edit": func(doc string) error {
			_, err := p.db.Documents().Edit(ctx, p.space, doc, func(tx *soma.EditTx) error {
				return tx.Text(somatest.Root).Insert(0, "edited ", nil)
			}, soma.WithSource(soma.SourceDaemon), soma.WithDraft(p.atMs-1))
			return err
		},
		"save": func(doc string) error {
			p.atMs++
			return box.Save(ctx, soma.Draft{SpaceID: p.space, DocumentID: doc, Snippet: "draft " + localMarker, UpdatedAtMs: p.atMs})
		},
		"save elsewhere": func(string) error {
			p.atMs++
			return box.Save(ctx, soma.Draft{SpaceID: p.space, DocumentID: localMarker, Snippet: localMarker, UpdatedAtMs: p.atMs})
		},
		"pin":     func(string) error { return p.db.Blobs().SetPin(ctx, p.space, soma.PinPolicy(p.r.IntN(3))) },
		"discard": func(doc string) error { return ignore(box.Discard(ctx, p.space, doc), soma.ErrNotFound) },
		"restore": func(doc string) error {
			_, err := box.Restore(ctx, p.space, doc)
			return ignore(err, soma.ErrNotFound)
		},
		"put": func(doc string) error {
			p.atMs++
			return p.db.Collections().Put(ctx, localMarker, doc, json.RawMessage(`{"marker":"`+localMarker+`"}`), p.atMs)
		},
		"put a draft": func(doc string) error {
			p.atMs++
			draft, err := soma.Draft{SpaceID: p.space, DocumentID: doc, Snippet: localMarker, UpdatedAtMs: p.atMs}.MarshalJSON()
			if err != nil {
				return err
			}
			return p.db.Collections().Put(ctx, soma.CollectionDraftMailbox, soma.DraftKey(p.space, doc), draft, p.atMs)
		},
		"set": func(doc string) error {
			before, err := p.db.Collections().Snapshot(ctx, "windows")
			if err != nil {
				return err
			}
			value := fmt.Sprintf(`{"s:%s":{"versionKey":"%d","data":{"marker":"%s"}}}`, doc, p.r.Uint64(), localMarker)
			_, err = p.db.Collections().SetItem(ctx, "windows", []byte(value), before.Seq)
			return err
		},
		"upload": func(doc string) error {
			_, err := p.db.Uploads().Enqueue(ctx, p.space, soma.UploadSource{Path: p.file(doc), Name: "shared"})
			return err
		},
		"lose an upload": func(doc string) error {
			path := p.file(doc + " lost")
			job, err := p.db.Uploads().Enqueue(ctx, p.space, soma.UploadSource{Path: path, Name: "shared"})
			if err == nil {
				err = os.Remove(path) // now or never: either is an end
			}
			if err == nil {
				_, err = p.ended(job.ID)
			}
			return err
		},
		"keep with an upload": func(doc string) error {
			job, err := p.db.Uploads().Enqueue(ctx, p.space, soma.UploadSource{Reader: strings.NewReader(doc)})
			if err != nil {
				return err
			}
			p.atMs++
			return p.db.Collections().Put(ctx, soma.CollectionUploadJobs, job.ID, json.RawMessage(`{"renderer":{"x":"`+localMarker+`"}}`), p.atMs)
		},
		"clear": func(string) error { return p.db.Collections().Clear(ctx, localMarker, p.atMs-5) },
		"agent": func(string) error {
			return p.db.PublishAgentEvent(soma.AgentRuntimeEvent{
				Kind: soma.AgentStatus, AtMs: p.atMs, Provider: soma.ProviderAgentd, BaseURL: localMarker,
				Models: json.RawMessage(`["` + localMarker + `"]`),
			})
		},
	}
}

// file makes a file that may be read, in a folder whose name may not be known.
func (p *localPlay) file(doc string) string {
	p.t.Helper()
	dir := filepath.Join(p.t.TempDir(), localMarker)
	path := filepath.Join(dir, doc)
	if err := errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(path, []byte(doc), 0o600)); err != nil {
		p.t.Fatal(err)
	}
	return path
}

// ended waits for an upload to be at its end.
func (p *localPlay) ended(id string) (soma.UploadJob, error) {
	ctx, cancel := context.WithCancel(p.t.Context())
	defer cancel()
	news := p.db.Uploads().Watch(ctx)
	job, err := p.db.Uploads().Get(ctx, id)
	for err == nil && !job.State.IsFinished() {
		if next := <-news; next.ID == id {
			job = next
		}
	}
	return job, err
}

func ignore(err, harmless error) error {
	if errors.Is(err, harmless) {
		return nil
	}
	return err
}

// Nothing that is local is ever in an entry, in an export, or in the search index.
func TestLocalDataStaysLocal(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			dir := t.TempDir()
			db, err := soma.Open(dir, soma.WithRelaxedDurability())
			if err != nil {
				t.Fatal(err)
			}
			space, err := db.Spaces().Create(t.Context(), soma.NewSpace{Name: "n"})
			if err != nil {
				t.Fatal(err)
			}
			p := &localPlay{
				t: t, db: db, space: space.ID, atMs: space.CreatedAtMs, clock: map[string]uint64{}, r: rand.New(rand.NewPCG(seed, 1)),
			}
			acts := p.acts()
			names := make([]string, 0, len(acts))
			for _, name := range []string{
				"type", "edit", "save", "save elsewhere", "discard", "restore", "put", "put a draft", "set", "clear", "agent",
				"upload", "lose an upload", "keep with an upload", "pin",
			} {
				if acts[name] == nil {
					t.Fatalf("no act %q", name)
				}
				names = append(names, name)
			}
			if len(names) != len(acts) {
				t.Fatalf("%d acts are played of %d", len(names), len(acts))
			}
			for range 200 {
				name := names[p.r.IntN(len(names))]
				if err := acts[name](fmt.Sprint("doc ", p.r.IntN(3))); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
			}
			if hits, err := db.Documents().Search(t.Context(), space.ID, localMarker, soma.WithFresh()); err != nil || len(hits) != 0 {
				t.Errorf("Search = %+v, %v, want no hits", hits, err)
			}
			var archive bytes.Buffer
			if err := db.Spaces().Export(t.Context(), space.ID, &archive); err != nil {
				t.Fatal(err)
			}
			wantLocal(t, "export", archive.Bytes())
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			wantLocal(t, "entries", stored(t, dir))
			index, err := filepath.Glob(filepath.Join(dir, "search.db*"))
			if err != nil || len(index) == 0 {
				t.Fatalf("search index: %v, %v", index, err)
			}
			var all []byte
			for _, name := range index {
				b, err := os.ReadFile(name)
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, b...)
			}
			if bytes.Contains(all, []byte(localMarker)) {
				t.Error("the search index holds local data")
			}
		})
	}
}

// wantLocal fails if local data is where only shared data must be, and if the shared data
// is not, since then nothing was looked at.
func wantLocal(t *testing.T, where string, b []byte) {
	t.Helper()
	if bytes.Contains(b, []byte(localMarker)) {
		t.Errorf("%s: local data is in it", where)
	}
	if !bytes.Contains(b, []byte(sharedMarker)) {
		t.Errorf("%s: shared data is not in it", where)
	}
}

// stored returns all entries of a closed directory, and those that wait. Close seals what
// was not, so there are no tails.
func stored(t *testing.T, dir string) []byte {
	t.Helper()
	db, err := store.Open(dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var all []byte
	err = db.Read(context.Background(), func(v core.View) error {
		spaces, err := v.Spaces("", 1000)
		if err != nil {
			return err
		}
		for _, space := range spaces {
			entries, err := v.EntriesAfter(space.Key, 0, 1<<30)
			if err != nil {
				return err
			}
			for _, e := range entries {
				all = append(append(append(all, e.Entry.Header...), e.Entry.Sig...), e.Entry.Ops...)
			}
			parked, err := v.ParkedAfter(space.Key, core.Hash{}, 1<<30)
			if err != nil {
				return err
			}
			for _, e := range parked {
				all = append(append(all, e.Entry.Header...), e.Entry.Ops...)
			}
			docs, err := v.TailDocs(space.Key, 0, 1)
			if err != nil {
				return err
			}
			if len(docs) > 0 {
				return fmt.Errorf("documents %v have a tail", docs)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// Drafts, records and agent events fire no domain event and change no document.
func TestLocalDataIsNoDomainEvent(t *testing.T) {
	db := somatest.Open(t)
	space, err := db.Spaces().Create(t.Context(), soma.NewSpace{Name: "n"})
	if err != nil {
		t.Fatal(err)
	}
	p := &localPlay{t: t, db: db, space: space.ID, atMs: space.CreatedAtMs, clock: map[string]uint64{}, r: rand.New(rand.NewPCG(1, 1))}
	acts := p.acts()
	if err := acts["type"]("doc"); err != nil {
		t.Fatal(err)
	}
	before, err := db.Documents().Get(t.Context(), space.ID, "doc")
	if err != nil {
		t.Fatal(err)
	}
	events := db.Subscribe(t.Context())
	for _, name := range []string{"save", "discard", "restore", "put", "put a draft", "set", "clear", "agent"} {
		if err := acts[name]("doc"); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	after, err := db.Documents().Get(t.Context(), space.ID, "doc")
	if err != nil || !bytes.Equal(after.Update, before.Update) || after.UpdatedAtMs != before.UpdatedAtMs {
		t.Errorf("the document is %+v, %v, was %+v", after, err, before)
	}
	if err := db.Documents().Delete(t.Context(), space.ID, "doc"); err != nil {
		t.Fatal(err)
	}
	if e := <-events; e.Kind != soma.DocumentChanged || e.Reason != soma.ReasonDeleted {
		t.Errorf("the first event is %+v, want that of the delete", e)
	}
}
