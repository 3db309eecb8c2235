package main

import (
	"net/http"

	"github.com/soma-sdk/soma"
)

// pageTree is what the page shows of a space's pages.
type pageTree struct {
	Tree  []*soma.PageNode
	Trash []soma.Page
}

func (s *server) addPages(mux *http.ServeMux) {
	pages := s.db.Pages()
	mux.Handle("GET /api/spaces/{space}/pages", endpoint(func(r *http.Request, _ none) (any, error) {
		tree, err := pages.Tree(r.Context(), spaceOf(r))
		if err != nil {
			return nil, err
		}
		trash, err := pages.Trash(r.Context(), spaceOf(r))
		return pageTree{tree, trash}, err
	}))
	mux.Handle("POST /api/spaces/{space}/pages", endpoint(func(r *http.Request, in soma.NewPage) (any, error) {
		return pages.Create(r.Context(), spaceOf(r), in)
	}))
	mux.Handle("PUT /api/spaces/{space}/pages/{page}/title", endpoint(func(r *http.Request, in struct{ Title string }) (any, error) {
		return pages.Rename(r.Context(), spaceOf(r), documentOf(r), in.Title)
	}))
	mux.Handle("PUT /api/spaces/{space}/pages/{page}/place", endpoint(func(r *http.Request, in soma.PageTarget) (any, error) {
		return pages.Move(r.Context(), spaceOf(r), documentOf(r), in)
	}))
	mux.Handle("DELETE /api/spaces/{space}/pages/{page}", endpoint(func(r *http.Request, _ none) (any, error) {
		return nil, pages.Delete(r.Context(), spaceOf(r), documentOf(r))
	}))
	mux.Handle("POST /api/spaces/{space}/pages/{page}/restore", endpoint(func(r *http.Request, _ none) (any, error) {
		return pages.Restore(r.Context(), spaceOf(r), documentOf(r))
	}))
}

func documentOf(r *http.Request) soma.DocumentID { return r.PathValue("page") }
