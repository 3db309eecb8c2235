package soma

import "encoding/json"

// The names of the collections that a desktop app usually has.
const (
	CollectionTabs          = "tabs"
	CollectionRouting       = "routing"
	CollectionUIPreferences = "uiPreferences"
	CollectionSpacesView    = "spacesView"
	CollectionPagesView     = "pagesView"
	// CollectionDraftMailbox is the Mailbox, see Collections.
	CollectionDraftMailbox = "draftMailbox"
	// CollectionUploadJobs is the Uploads, see Collections. Only the field renderer is written:
	// a value without it erases it, null is ErrInvalidRecord.
	CollectionUploadJobs = "uploadJobs"
)

// Tab is an open tab. Its key is ID.
type Tab struct {
	ID      string  `json:"id"`
	Title   string  `json:"title"`
	Path    string  `json:"path"` // where in the app it is
	SpaceID SpaceID `json:"spaceId,omitempty"`
	Order   float64 `json:"order,omitempty"`
}

// Tabs returns the collection of open tabs.
//
// A ready-made collection like this one refuses values that do not fit its type, or that
// have another key in them than they are stored under, from whoever writes. Fields that the
// type does not know are kept.
func Tabs(db *DB, opts ...CollectionOption) *Collection[Tab] {
	return readyMade(db, CollectionTabs, "id", func(t Tab) string { return t.ID }, opts)
}

// Route says where a user was: the last path in a space, under the ID of the space, or the
// active tab, under a key of the host's choice. Its key is ID.
type Route struct {
	ID          string  `json:"id"`
	SpaceID     SpaceID `json:"spaceId,omitempty"`
	Path        string  `json:"path,omitempty"`
	ActiveTabID string  `json:"activeTabId,omitempty"`
}

// Routing returns the collection from which a host restores where the user was. See Tabs.
func Routing(db *DB, opts ...CollectionOption) *Collection[Route] {
	return readyMade(db, CollectionRouting, "id", func(r Route) string { return r.ID }, opts)
}

// UIPreference is one setting of the user interface, such as the language or a toggle.
// Its key is ID.
type UIPreference struct {
	ID    string          `json:"id"`
	Value json.RawMessage `json:"value"`
}

// UIPreferences returns the collection of settings. See Tabs.
func UIPreferences(db *DB, opts ...CollectionOption) *Collection[UIPreference] {
	return readyMade(db, CollectionUIPreferences, "id", func(p UIPreference) string { return p.ID }, opts)
}

// SpaceView is how a user sees a space in navigation. Its key is SpaceID.
type SpaceView struct {
	SpaceID  SpaceID `json:"spaceId"`
	Pinned   bool    `json:"pinned,omitempty"`
	Order    float64 `json:"order,omitempty"`
	Expanded bool    `json:"expanded,omitempty"`
}

// SpacesView returns the collection of how spaces are shown. See Tabs, and
// Collections.PruneViews.
func SpacesView(db *DB, opts ...CollectionOption) *Collection[SpaceView] {
	return readyMade(db, CollectionSpacesView, "spaceId", func(v SpaceView) string { return string(v.SpaceID) }, opts)
}

// PageView is how a user sees a page in navigation. Its key is that of Key.
type PageView struct {
	SpaceID  SpaceID    `json:"spaceId"`
	PageID   DocumentID `json:"pageId"`
	Pinned   bool       `json:"pinned,omitempty"`
	Order    float64    `json:"order,omitempty"`
	Expanded bool       `json:"expanded,omitempty"`
}

// Key returns the key under which v is stored: SpaceID, "/" and PageID.
func (v PageView) Key() string { return string(v.SpaceID) + "/" + v.PageID }

// PagesView returns the collection of how pages are shown. See Tabs, and
// Collections.PruneViews.
func PagesView(db *DB, opts ...CollectionOption) *Collection[PageView] {
	return readyMade(db, CollectionPagesView, "pageId", PageView.Key, opts)
}

func readyMade[T any](db *DB, name, field string, keyOf func(T) string, opts []CollectionOption) *Collection[T] {
	return NewCollection[T](db, name, append([]CollectionOption{withKey(field, keyOf)}, opts...)...)
}
