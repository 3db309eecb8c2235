package mailbox_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/mailbox"
	"github.com/soma-sdk/soma/internal/yjs"
)

const maxMs = 1<<53 - 1

// full is a draft with all fields.
func full() mailbox.Draft {
	return mailbox.Draft{
		SpaceID: "s", DocumentID: "a/b", Snippet: "<&>\"\\\n\x00é\U0001f600", UpdatedAtMs: maxMs, BaseDaemonUpdatedAtMs: 1,
		BaseStateVector: []byte{1, 5, 7}, ConflictState: mailbox.Diverged,
	}
}

func TestDraftJSON(t *testing.T) {
	least := mailbox.Draft{SpaceID: "s", DocumentID: "d"}
	for _, tt := range []struct {
		draft mailbox.Draft
		json  string
		other []string // that mean the same
	}{
		{least, `{"spaceId":"s","documentId":"d","snippet":"","updatedAtMs":0}`, []string{
			`{"spaceId":"s","documentId":"d","snippet":"","updatedAtMs":0,"baseDaemonUpdatedAtMs":0,"baseStateVector":"","conflictState":""}`,
			" {\t\"updatedAtMs\":0, \"snippet\":\"\", \"\\u0064ocumentId\":\"d\",\n\"spaceId\":\"\\u0073\"} ",
		}},
		{full(), `{"spaceId":"s","documentId":"a/b","snippet":"<&>\"\\\n\u0000é` + "\U0001f600" + `","updatedAtMs":9007199254740991,` +
			`"baseDaemonUpdatedAtMs":1,"baseStateVector":"AQUH","conflictState":"diverged"}`, []string{
			`{"conflictState":"diverged","spaceId":"s","documentId":"a\/b","snippet":"\u003c&>\"\\\n\u0000\u00e9\ud83d\ude00","updatedAtMs":9007199254740991,` +
				`"baseDaemonUpdatedAtMs":1,"baseStateVector":"AQUH"}`,
		}},
	} {
		got, err := tt.draft.MarshalJSON()
		if err != nil || string(got) != tt.json {
			t.Errorf("MarshalJSON() = %s, %v, want %s", got, err, tt.json)
		}
		for _, data := range append(tt.other, tt.json) {
			var d mailbox.Draft
			if err := json.Unmarshal([]byte(data), &d); err != nil || !reflect.DeepEqual(d, tt.draft) {
				t.Errorf("json.Unmarshal(%s) = %+v, %v, want %+v", data, d, err, tt.draft)
			}
		}
	}
}

// refused is everything that is no draft, with the field that the error names and the
// sentinel beside ErrInvalidDraft.
var refused = []struct {
	json, names string
	is          error
}{
	{``, "", nil},
	{`null`, "object", nil},
	{`[]`, "object", nil},
	{`{}`, "spaceId", nil},
	{`{"spaceId":"s","documentId":"d","snippet":"x","updatedAtMs":1`, "", nil},
	{`{"spaceId":"s","documentId":"d","snippet":"x","updatedAtMs":1} {}`, "", nil},
	{`{"documentId":"d","snippet":"x","updatedAtMs":1}`, "spaceId", nil},
	{`{"spaceId":"s","snippet":"x","updatedAtMs":1}`, "documentId", nil},
	{`{"spaceId":"s","documentId":"d","updatedAtMs":1}`, "snippet", nil},
	{`{"spaceId":"s","documentId":"d","snippet":"x"}`, "updatedAtMs", nil},
	{`{"spaceId":"s","spaceId":"s","documentId":"d","snippet":"x","updatedAtMs":1}`, "spaceId", nil},
	{`{"spaceId":"s","documentId":"d","snippet":"x","updatedAtMs":1,"more":1}`, "more", nil},
	{`{"SpaceId":"s","documentId":"d","snippet":"x","updatedAtMs":1}`, "SpaceId", nil},
	{`{"spaceId":"","documentId":"d","snippet":"x","updatedAtMs":1}`, "spaceId", core.ErrInvalidID},
	{`{"spaceId":"a/b","documentId":"d","snippet":"x","updatedAtMs":1}`, "spaceId", core.ErrInvalidID},
	{`{"spaceId":1,"documentId":"d","snippet":"x","updatedAtMs":1}`, "spaceId", nil},
	{`{"spaceId":"s","documentId":"\n","snippet":"x","updatedAtMs":1}`, "documentId", core.ErrInvalidID},
	{`{"spaceId":"s","documentId":null,"snippet":"x","updatedAtMs":1}`, "documentId", nil},
	{`{"spaceId":"s","documentId":"d","snippet":null,"updatedAtMs":1}`, "snippet", nil},
	{`{"spaceId":"s","documentId":"d","snippet":"\ud83d","updatedAtMs":1}`, "snippet", nil},
	{"{\"spaceId\":\"s\",\"documentId\":\"d\",\"snippet\":\"\xff\",\"updatedAtMs\":1}", "UTF-8", nil},
	{`{"spaceId":"s","documentId":"d","snippet":"` + strings.Repeat("x", 1<<20+1) + `","updatedAtMs":1}`, "snippet", core.ErrTooLarge},
	{`{"spaceId":"s","documentId":"d","snippet":"x","updatedAtMs":-1}`, "updatedAtMs", core.ErrInvalidTime},
	{`{"spaceId":"s","documentId":"d","snippet":"x","updatedAtMs":1.0}`, "updatedAtMs", core.ErrInvalidTime},
	{`{"spaceId":"s","documentId":"d","snippet":"x","updatedAtMs":9007199254740992}`, "updatedAtMs", core.ErrInvalidTime},
	{`{"spaceId":"s","documentId":"d","snippet":"x","updatedAtMs":"1"}`, "updatedAtMs", core.ErrInvalidTime},
	{`{"spaceId":"s","documentId":"d","snippet":"x","updatedAtMs":null}`, "updatedAtMs", core.ErrInvalidTime},
	{`{"spaceId":"s","documentId":"d","snippet":"x","updatedAtMs":1,"baseDaemonUpdatedAtMs":-1}`, "baseDaemonUpdatedAtMs", core.ErrInvalidTime},
	{`{"spaceId":"s","documentId":"d","snippet":"x","updatedAtMs":1,"baseDaemonUpdatedAtMs":null}`, "baseDaemonUpdatedAtMs", core.ErrInvalidTime},
	{`{"spaceId":"s","documentId":"d","snippet":"x","updatedAtMs":1,"baseStateVector":"AQUH="}`, "baseStateVector", nil},
	{`{"spaceId":"s","documentId":"d","snippet":"x","updatedAtMs":1,"baseStateVector":"AQ\nUH"}`, "baseStateVector", nil},
	{`{"spaceId":"s","documentId":"d","snippet":"x","updatedAtMs":1,"baseStateVector":"AQ"}`, "baseStateVector", nil},
	{`{"spaceId":"s","documentId":"d","snippet":"x","updatedAtMs":1,"baseStateVector":"AB=="}`, "baseStateVector", nil},
	{`{"spaceId":"s","documentId":"d","snippet":"x","updatedAtMs":1,"baseStateVector":"AQU="}`, "baseStateVector", core.ErrInvalidVector},
	{`{"spaceId":"s","documentId":"d","snippet":"x","updatedAtMs":1,"baseStateVector":[1,5,7]}`, "baseStateVector", nil},
	{`{"spaceId":"s","documentId":"d","snippet":"x","updatedAtMs":1,"conflictState":"stale"}`, "conflictState", nil},
	{`{"spaceId":"s","documentId":"d","snippet":"x","updatedAtMs":1,"conflictState":null}`, "conflictState", nil},
}

func TestParseDraftRefuses(t *testing.T) {
	for _, tt := range refused {
		got, err := mailbox.ParseDraft([]byte(tt.json))
		if !errors.Is(err, core.ErrInvalidDraft) || tt.is != nil && !errors.Is(err, tt.is) || !strings.Contains(fmt.Sprint(err), tt.names) {
			t.Errorf("ParseDraft(%.200s) = %v, want ErrInvalidDraft and %v, naming %s", tt.json, err, tt.is, tt.names)
		}
		if !reflect.DeepEqual(got, mailbox.Draft{}) {
			t.Errorf("ParseDraft(%.200s) = %+v beside an error", tt.json, got)
		}
		kept := full()
		if err := kept.UnmarshalJSON([]byte(tt.json)); err == nil || !reflect.DeepEqual(kept, full()) {
			t.Errorf("UnmarshalJSON(%.200s) = %v and changed %+v", tt.json, err, kept)
		}
	}
}

func TestValidateDraft(t *testing.T) {
	for _, tt := range []struct {
		change func(*mailbox.Draft)
		is     error
	}{
		{func(d *mailbox.Draft) { d.SpaceID = "" }, core.ErrInvalidID},
		{func(d *mailbox.Draft) { d.SpaceID = "a/b" }, core.ErrInvalidID},
		{func(d *mailbox.Draft) { d.DocumentID = strings.Repeat("x", core.MaxIDBytes+1) }, core.ErrInvalidID},
		{func(d *mailbox.Draft) { d.Snippet = "\xff" }, core.ErrInvalidDraft},
		{func(d *mailbox.Draft) { d.Snippet = strings.Repeat("x", mailbox.MaxSnippetBytes+1) }, core.ErrTooLarge},
		{func(d *mailbox.Draft) { d.UpdatedAtMs = -1 }, core.ErrInvalidTime},
		{func(d *mailbox.Draft) { d.UpdatedAtMs = maxMs + 1 }, core.ErrInvalidTime},
		{func(d *mailbox.Draft) { d.BaseDaemonUpdatedAtMs = -1 }, core.ErrInvalidTime},
		{func(d *mailbox.Draft) { d.BaseDaemonUpdatedAtMs = maxMs + 1 }, core.ErrInvalidTime},
		{func(d *mailbox.Draft) { d.BaseStateVector = []byte{1} }, core.ErrInvalidVector},
		{func(d *mailbox.Draft) { d.BaseStateVector = []byte{0, 0} }, core.ErrInvalidVector},
		{func(d *mailbox.Draft) { d.BaseStateVector = make([]byte, mailbox.MaxVectorBytes+1) }, core.ErrTooLarge},
		{func(d *mailbox.Draft) { d.ConflictState = "Ahead" }, core.ErrInvalidDraft},
	} {
		d := full()
		tt.change(&d)
		if err := d.Validate(); !errors.Is(err, core.ErrInvalidDraft) || !errors.Is(err, tt.is) {
			t.Errorf("Validate(%.200v) = %v, want ErrInvalidDraft and %v", d, err, tt.is)
		}
		if data, err := json.Marshal(d); !errors.Is(err, tt.is) {
			t.Errorf("json.Marshal(%.200v) = %.100s, %v, want %v", d, data, err, tt.is)
		}
	}
	for _, change := range []func(*mailbox.Draft){
		func(*mailbox.Draft) {},
		func(d *mailbox.Draft) { d.Snippet = strings.Repeat("x", mailbox.MaxSnippetBytes) },
		func(d *mailbox.Draft) { d.BaseStateVector = []byte{0} },
	} {
		d := full()
		change(&d)
		if err := d.Validate(); err != nil {
			t.Errorf("Validate(%.200v) = %v", d, err)
		}
	}
}

// drafts generates valid drafts.
func drafts() *rapid.Generator[mailbox.Draft] {
	return rapid.Custom(func(t *rapid.T) mailbox.Draft {
		d := mailbox.Draft{
			SpaceID:               core.SpaceID(rapid.StringMatching(`[a-zé ]{1,20}`).Draw(t, "space")),
			DocumentID:            rapid.StringMatching(`[a-z/é ]{1,20}`).Draw(t, "document"),
			Snippet:               rapid.String().Draw(t, "snippet"),
			UpdatedAtMs:           rapid.Int64Range(0, maxMs).Draw(t, "updated"),
			BaseDaemonUpdatedAtMs: rapid.Int64Range(0, maxMs).Draw(t, "base"),
			ConflictState:         rapid.SampledFrom([]mailbox.ConflictState{"", "ahead", "diverged"}).Draw(t, "state"),
		}
		if rapid.Bool().Draw(t, "has vector") {
			d.BaseStateVector = yjs.EncodeStateVector(rapid.MapOf(rapid.Uint64Max(1<<53-1), rapid.Uint64Max(1<<40)).Draw(t, "vector"))
		}
		return d
	})
}

func TestDraftsComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := drafts().Draw(t, "draft")
		data, err := d.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := mailbox.ParseDraft(data); err != nil || !reflect.DeepEqual(got, d) {
			t.Fatalf("ParseDraft(%s) = %+v, %v, want %+v", data, got, err, d)
		}
		space, doc, err := mailbox.ParseKey(mailbox.Key(d.SpaceID, d.DocumentID))
		if err != nil || space != d.SpaceID || doc != d.DocumentID {
			t.Fatalf("ParseKey(%q) = %q, %q, %v", mailbox.Key(d.SpaceID, d.DocumentID), space, doc, err)
		}
	})
}

func TestParseKeyRefuses(t *testing.T) {
	for _, key := range []string{"", "s", "/", "/d", "s/", "s/\n", "\xff/d", strings.Repeat("x", 129) + "/d"} {
		if space, doc, err := mailbox.ParseKey(key); !errors.Is(err, core.ErrInvalidID) || space != "" || doc != "" {
			t.Errorf("ParseKey(%q) = %q, %q, %v, want ErrInvalidID", key, space, doc, err)
		}
	}
}

func FuzzDraft(f *testing.F) {
	for _, tt := range refused {
		f.Add([]byte(tt.json[:min(len(tt.json), 1000)]))
	}
	whole, err := full().MarshalJSON()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := mailbox.ParseDraft(data)
		if err != nil {
			if !errors.Is(err, core.ErrInvalidDraft) {
				t.Fatalf("ParseDraft(%q) = %v, want ErrInvalidDraft", data, err)
			}
			return
		}
		canonical, err := d.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		again, err := mailbox.ParseDraft(canonical)
		if err != nil || !reflect.DeepEqual(again, d) {
			t.Fatalf("ParseDraft(%s) = %+v, %v, want %+v", canonical, again, err, d)
		}
		var lenient map[string]any
		if err := json.Unmarshal(data, &lenient); err != nil {
			t.Fatal(err)
		}
		if lenient["snippet"] != d.Snippet || lenient["spaceId"] != string(d.SpaceID) || lenient["documentId"] != d.DocumentID ||
			len(d.BaseStateVector) > 0 && lenient["baseStateVector"] != base64.StdEncoding.EncodeToString(d.BaseStateVector) {
			t.Fatalf("%q became %+v", data, d)
		}
	})
}
