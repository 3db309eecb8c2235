package main

import (
	"context"
	"crypto/subtle"
	"embed"
	"io/fs"
	"net"
	"net/http"

	"github.com/soma-sdk/soma"
	"github.com/soma-sdk/soma/sync/ywebsocket"
)

//go:embed all:web/dist
var dist embed.FS

const howToBuild = "The page is not built yet: (cd examples/editor/web && npm ci && npm run build), then start again."

// page is what npm run build makes.
func page() fs.FS {
	sub, err := fs.Sub(dist, "web/dist")
	if err != nil {
		panic(err) // the name is valid
	}
	return sub
}

func built() bool {
	_, err := fs.Stat(page(), "index.html")
	return err == nil
}

// server serves a DB to the page.
type server struct {
	db      *soma.DB
	own     settings
	sockets *ywebsocket.Handler
	ended   context.Context //nolint:containedctx // of the streams, which last as long as the server
	end     context.CancelFunc
}

func newServer(db *soma.DB, own settings) (*server, error) {
	// Who comes here has passed the guard. What they may do is what the member may.
	sockets, err := ywebsocket.New(db, func(context.Context, ywebsocket.Request) (ywebsocket.Access, error) {
		return ywebsocket.ReadWrite, nil
	})
	s := &server{db: db, own: own, sockets: sockets}
	s.ended, s.end = context.WithCancel(context.Background())
	return s, err
}

func (s *server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", s.servePage)
	mux.Handle("GET /documents", s.sockets.Hocuspocus())
	mux.Handle("GET /blobs/{space}/{cid}", s.fetching(soma.BlobHandler(s.db)))
	mux.HandleFunc("POST /api/spaces/{space}/blobs", s.putBlob)
	mux.HandleFunc("GET /api/events", s.streamEvents)
	s.addSpaces(mux)
	s.addPages(mux)
	s.addDrafts(mux)
	return s.guard(mux)
}

func (s *server) servePage(w http.ResponseWriter, r *http.Request) {
	if !built() {
		http.Error(w, howToBuild, http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Security-Policy", "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	http.ServeFileFS(w, r, page(), r.URL.Path)
}

// guard lets in who has the token: by the link, which leaves it in a cookie. A name that
// was made to lead here is no Host of ours, and a page from elsewhere has another Origin.
func (s *server) guard(next http.Handler) http.Handler {
	_, port, _ := net.SplitHostPort(s.own.Addr)
	name := "soma-editor-" + port // all ports of a host share their cookies
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Referrer-Policy", "no-referrer")
		if origin := r.Header.Get("Origin"); r.Host != s.own.Addr || origin != "" && origin != "http://"+s.own.Addr {
			http.Error(w, "not from here", http.StatusForbidden)
			return
		}
		if token := r.URL.Query().Get("token"); r.URL.Path == "/" && s.isToken(token) {
			http.SetCookie(w, &http.Cookie{Name: name, Value: token, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode})
			http.Redirect(w, r, "/", http.StatusSeeOther)
			return
		}
		if cookie, err := r.Cookie(name); err != nil || !s.isToken(cookie.Value) {
			http.Error(w, "Open the link that the program has printed.", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (s *server) isToken(text string) bool {
	return subtle.ConstantTimeCompare([]byte(text), []byte(s.own.Token)) == 1
}
