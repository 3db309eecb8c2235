package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/soma-sdk/soma"
	"github.com/soma-sdk/soma/internal/somatest"
)

// logIn follows a link as a browser does.
func logIn(link string) (*http.Client, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	client := &http.Client{Jar: jar, Timeout: patience}
	response, err := client.Get(link)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusUnauthorized {
		return nil, errors.New(response.Status)
	}
	return client, nil // the page may not be built
}

// call sends in as JSON, or as it is if it is text, and decodes the answer into out.
func call(client *http.Client, method, url string, in, out any) error {
	var body io.Reader
	switch in := in.(type) {
	case nil:
	case string:
		body = strings.NewReader(in)
	default:
		data, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(data)
	}
	request, err := http.NewRequest(method, url, body)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%d %s", response.StatusCode, bytes.TrimSpace(data))
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(data, out)
}

// served is a server in this process.
type served struct {
	*httptest.Server
	db   *soma.DB
	app  *server
	user *http.Client
}

func serve(t *testing.T) served {
	t.Helper()
	db := somatest.Open(t)
	listening := httptest.NewUnstartedServer(nil)
	app, err := newServer(db, settings{Token: "secret", Addr: listening.Listener.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	listening.Config.Handler = app.handler()
	listening.Start()
	t.Cleanup(func() {
		app.end()
		app.sockets.Close()
		listening.Close()
	})
	user, err := logIn(listening.URL + "/?token=secret")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(user.CloseIdleConnections)
	return served{listening, db, app, user}
}

func (s served) call(t *testing.T, method, path string, in, out any) {
	t.Helper()
	if err := call(s.user, method, s.URL+"/api/"+path, in, out); err != nil {
		t.Fatalf("%s %s(%v) = %v", method, path, in, err)
	}
}

// space makes a space with a page.
func (s served) space(t *testing.T) (soma.SpaceID, soma.DocumentID) {
	t.Helper()
	var space soma.Space
	s.call(t, "POST", "spaces", map[string]string{"Name": "Notes"}, &space)
	var page soma.Page
	s.call(t, "POST", "spaces/"+string(space.ID)+"/pages", soma.NewPage{Title: "Today"}, &page)
	return space.ID, page.ID
}

func TestGuard(t *testing.T) {
	s := serve(t)
	cookie := s.user.Jar.Cookies(must(http.NewRequest("GET", s.URL, nil)).URL)[0]
	stranger := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer stranger.CloseIdleConnections()
	for _, tt := range []struct {
		name, method, path, host, origin, cookie string
		want                                     int
	}{
		{"own page", "GET", "/api/overview", "", s.URL, cookie.Value, 200},
		{"no Origin", "GET", "/api/overview", "", "", cookie.Value, 200},
		{"no cookie", "GET", "/api/overview", "", "", "", 401},
		{"wrong cookie", "GET", "/api/overview", "", "", "secreT", 401},
		{"page without cookie", "GET", "/", "", "", "", 401},
		{"blob without cookie", "GET", "/blobs/a/b", "", "", "", 401},
		{"socket without cookie", "GET", "/documents", "", "", "", 401},
		{"wrong token", "GET", "/?token=wrong", "", "", "", 401},
		{"empty token", "GET", "/?token=", "", "", "", 401},
		{"right token", "GET", "/?token=secret", "", "", "", 303},
		{"token elsewhere", "GET", "/api/overview?token=secret", "", "", "", 401},
		{"rebound name", "GET", "/api/overview", "evil.example", "", cookie.Value, 403},
		{"rebound name with port", "GET", "/?token=secret", "evil.example:" + cookie.Name[len("soma-editor-"):], "", "", 403},
		{"other page", "POST", "/api/spaces", "", "http://evil.example", cookie.Value, 403},
		{"other port", "POST", "/api/spaces", "", "http://127.0.0.1:1", cookie.Value, 403},
		{"sandboxed page", "POST", "/api/spaces", "", "null", cookie.Value, 403},
		{"socket of other page", "GET", "/documents", "", "http://evil.example", cookie.Value, 403},
	} {
		t.Run(tt.name, func(t *testing.T) {
			request := must(http.NewRequest(tt.method, s.URL+tt.path, nil))
			request.Host = tt.host
			if tt.origin != "" {
				request.Header.Set("Origin", tt.origin)
			}
			if tt.cookie != "" {
				request.AddCookie(&http.Cookie{Name: cookie.Name, Value: tt.cookie})
			}
			response := must(stranger.Do(request))
			response.Body.Close()
			if response.StatusCode != tt.want {
				t.Errorf("%s %s = %d, want %d", tt.method, tt.path, response.StatusCode, tt.want)
			}
		})
	}
	if spaces := must(s.db.Spaces().List(t.Context())); len(spaces) != 0 {
		t.Errorf("there are %d spaces, want none", len(spaces))
	}
}

func TestBadInput(t *testing.T) {
	s := serve(t)
	space, page := s.space(t)
	in := "spaces/" + string(space)
	for _, tt := range []struct {
		method, path, body string
		want               int
	}{
		{"POST", "spaces", "", 400},
		{"POST", "spaces", "{", 400},
		{"POST", "spaces", "[]", 400},
		{"POST", "spaces", `{"Name":"a"}{}`, 400},
		{"POST", "spaces", `{"Name":"a","Owner":"b"}`, 400},
		{"POST", "spaces", `{"Name":1}`, 400},
		{"POST", "spaces", `{"Name":""}`, 400},
		{"POST", "spaces", `{"Name":"` + strings.Repeat("a", maxBody) + `"}`, 413},
		{"POST", "join", `{"Ticket":"soma"}`, 400},
		{"POST", in + "/invites", `{"Role":"owner"}`, 400},
		{"POST", in + "/invites", `{"Role":"king"}`, 400},
		{"POST", "spaces/nowhere/invites", `{"Role":"editor"}`, 404},
		{"PUT", in + "/members/nobody", `{"Role":"editor"}`, 400},
		{"DELETE", in + "/members/" + s.db.PeerID().String(), "", 409},
		{"GET", "spaces/nowhere/pages", "", 404},
		{"GET", "spaces/%00/pages", "", 400},
		{"POST", in + "/pages", `{"Title":"a\nb"}`, 400},
		{"PUT", in + "/pages/" + page + "/place", `{"Parent":"` + page + `"}`, 409},
		{"PUT", in + "/pages/none/title", `{"Title":"a"}`, 404},
		{"DELETE", in + "/pages/none", "", 404},
		{"POST", "spaces/nowhere/blobs", "bytes", 404},
		{"PUT", "draft", `{"spaceId":"a"}`, 400},
		{"PUT", "draft", `{"spaceId":"a","documentId":"b","snippet":"` + strings.Repeat("a", maxSnippet+1) + `","updatedAtMs":1}`, 413},
		{"POST", in + "/pages/" + page + "/draft", "{}", 400},
		{"DELETE", in + "/pages/%00/draft", "", 400},
	} {
		err := call(s.user, tt.method, s.URL+"/api/"+tt.path, tt.body, nil)
		if err == nil || !strings.HasPrefix(err.Error(), fmt.Sprint(tt.want)) {
			t.Errorf("%s %s(%.60s) = %.200v, want %d", tt.method, tt.path, tt.body, err, tt.want)
		}
	}
	if spaces := must(s.db.Spaces().List(t.Context())); len(spaces) != 1 {
		t.Errorf("there are %d spaces, want 1", len(spaces))
	}
}

func TestPages(t *testing.T) {
	s := serve(t)
	space, first := s.space(t)
	in := "spaces/" + string(space)
	var second soma.Page
	s.call(t, "POST", in+"/pages", soma.NewPage{Title: "Tomorrow", Parent: first}, &second)
	s.call(t, "PUT", in+"/pages/"+first+"/title", map[string]string{"Title": "Now"}, nil)
	s.call(t, "PUT", in+"/pages/"+second.ID+"/place", soma.PageTarget{Before: first}, nil)
	var got pageTree
	s.call(t, "GET", in+"/pages", nil, &got)
	if len(got.Tree) != 2 || got.Tree[0].Title != "Tomorrow" || got.Tree[1].Title != "Now" {
		t.Errorf("pages = %s, want Tomorrow and Now", js(got))
	}
	s.call(t, "DELETE", in+"/pages/"+second.ID, nil, nil)
	s.call(t, "GET", in+"/pages", nil, &got)
	if len(got.Tree) != 1 || len(got.Trash) != 1 || got.Trash[0].ID != second.ID {
		t.Errorf("pages = %s, want Now, and Tomorrow in the trash", js(got))
	}
	s.call(t, "POST", in+"/pages/"+second.ID+"/restore", nil, nil)
	s.call(t, "GET", in+"/pages", nil, &got)
	if len(got.Tree) != 2 || len(got.Trash) != 0 {
		t.Errorf("pages = %s, want both", js(got))
	}
}

func TestMembers(t *testing.T) {
	s, other := serve(t), serve(t)
	space, _ := s.space(t)
	in := "spaces/" + string(space)
	var ticket string
	s.call(t, "POST", in+"/invites", map[string]any{"Role": soma.RoleEditor}, &ticket)
	var joined soma.Space
	other.call(t, "POST", "join", map[string]string{"Ticket": ticket}, &joined)
	if joined.ID != space || joined.Role != soma.RoleNone {
		t.Errorf("join = %+v, want space %s with no role yet", joined, space)
	}
	carry(t, s.db, other.db, space)
	carry(t, other.db, s.db, space)
	peer := other.db.PeerID()
	s.call(t, "PUT", in+"/members/"+peer.String(), map[string]any{"Role": soma.RoleViewer}, nil)
	var members []soma.Member
	s.call(t, "GET", in+"/members", nil, &members)
	if len(members) != 2 || members[0].Role != soma.RoleOwner || members[1].Peer != peer || members[1].Role != soma.RoleViewer {
		t.Errorf("members = %s, want an owner, and %s as a viewer", js(members), peer)
	}
	s.call(t, "DELETE", in+"/members/"+peer.String(), nil, nil)
	s.call(t, "GET", in+"/members", nil, &members)
	if len(members) != 1 {
		t.Errorf("members = %s, want one", js(members))
	}
}

// carry takes a space from one directory to another.
func carry(t *testing.T, from, to *soma.DB, space soma.SpaceID) {
	t.Helper()
	var archive bytes.Buffer
	if err := from.Spaces().Export(t.Context(), space, &archive); err != nil {
		t.Fatal(err)
	}
	if err := to.Spaces().Import(t.Context(), &archive); err != nil {
		t.Fatal(err)
	}
}

func TestDraft(t *testing.T) {
	s := serve(t)
	space, page := s.space(t)
	path := "spaces/" + string(space) + "/pages/" + page + "/draft"
	typed := somatest.Typed(1, 0, "typed")
	draft := soma.Draft{
		SpaceID: space, DocumentID: page, UpdatedAtMs: time.Now().UnixMilli() - 1000,
		Snippet: js(snippet{Text: "typed", Update: typed}),
	}
	s.call(t, "PUT", "draft", draft, nil)

	// Somebody else changes the page later, which clears the draft. It is offered all the same.
	if _, err := s.db.Documents().Upsert(t.Context(), space, page, somatest.Typed(2, 0, "other "), soma.WithSource(soma.SourceDaemon)); err != nil {
		t.Fatal(err)
	}
	var got *soma.Draft
	s.call(t, "GET", path, nil, &got)
	if got == nil || got.Snippet != draft.Snippet {
		t.Fatalf("draft = %s, want %s", js(got), js(draft))
	}
	for range 2 { // a second time it is there already
		s.call(t, "POST", path, soma.Draft{SpaceID: space, DocumentID: page, UpdatedAtMs: time.Now().UnixMilli(), Snippet: draft.Snippet}, nil)
		text, err := s.db.Documents().Text(t.Context(), space, page)
		if err != nil || strings.Count(text, "typed") != 1 || strings.Count(text, "other") != 1 {
			t.Errorf("Text = %q, %v, want each word once", text, err)
		}
		got = nil
		if s.call(t, "GET", path, nil, &got); got != nil {
			t.Errorf("draft = %s, want none", js(got))
		}
	}

	// What is no update changes nothing, and stays.
	for _, held := range []string{"words", js(snippet{Update: []byte("junk")})} {
		draft := soma.Draft{SpaceID: space, DocumentID: page, UpdatedAtMs: time.Now().UnixMilli() + 1000, Snippet: held}
		s.call(t, "PUT", "draft", draft, nil)
		if err := call(s.user, "POST", s.URL+"/api/"+path, draft, nil); err == nil || !strings.HasPrefix(err.Error(), "400") {
			t.Errorf("POST draft of %q = %v, want 400", held, err)
		}
		s.call(t, "DELETE", path, nil, nil)
	}
	got = nil
	if s.call(t, "GET", path, nil, &got); got != nil {
		t.Errorf("a discarded draft = %s, want none", js(got))
	}

	// What is stored is asked to be dropped, and a newer draft of another tab stays.
	draft.UpdatedAtMs = time.Now().UnixMilli() + 2000
	s.call(t, "PUT", "draft", draft, nil)
	if err := call(s.user, "DELETE", s.URL+"/api/"+path+"?until=now", nil, nil); err == nil || !strings.HasPrefix(err.Error(), "400") {
		t.Errorf("DELETE until now = %v, want 400", err)
	}
	for _, tt := range []struct {
		until int64
		stays bool
	}{{draft.UpdatedAtMs - 1, true}, {draft.UpdatedAtMs, false}, {draft.UpdatedAtMs, false}} {
		s.call(t, "DELETE", fmt.Sprintf("%s?until=%d", path, tt.until), nil, nil)
		got = nil
		if s.call(t, "GET", path, nil, &got); (got != nil) != tt.stays {
			t.Errorf("after DELETE until %d of one of %d the draft = %s", tt.until, draft.UpdatedAtMs, js(got))
		}
	}
}

func TestBlobs(t *testing.T) {
	s := serve(t)
	space, _ := s.space(t)
	var url string
	s.call(t, "POST", "spaces/"+string(space)+"/blobs?name=a.txt", "bytes", &url)
	in, cid, err := soma.ParseBlobURL(url)
	if err != nil || in != space {
		t.Fatalf("put = %q: %v", url, err)
	}
	response := must(s.user.Get(s.URL + "/blobs/" + string(space) + "/" + string(cid)))
	defer response.Body.Close()
	if data, err := io.ReadAll(response.Body); string(data) != "bytes" || err != nil {
		t.Errorf("blob = %q, %v, want what was put", data, err)
	}
	missing := must(s.user.Get(s.URL + "/blobs/" + string(space) + "/" + strings.Repeat("a", 59)))
	missing.Body.Close()
	if missing.StatusCode != http.StatusNotFound {
		t.Errorf("a blob that is not there = %d, want 404", missing.StatusCode)
	}
}

func TestEvents(t *testing.T) {
	s := serve(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	response := must(s.user.Do(must(http.NewRequestWithContext(ctx, "GET", s.URL+"/api/events", nil))))
	defer response.Body.Close()
	read := func(want string) {
		t.Helper()
		var got strings.Builder
		for b := make([]byte, 1); !strings.Contains(got.String(), want); {
			if _, err := response.Body.Read(b); err != nil {
				t.Fatalf("events = %q and %v, want %q", got.String(), err, want)
			}
			got.Write(b)
		}
	}
	read("event: ready\n")
	space, _ := s.space(t)
	read(`"kind":"pages-changed","source":"renderer"`)
	read(`"spaceId":"` + string(space) + `"`)
	s.app.end() // as the program does when it ends
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		t.Errorf("the stream ends with %v, want its end", err)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
