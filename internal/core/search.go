package core

// IndexedDoc is a document in a search index, as of when its words were taken.
type IndexedDoc struct {
	ID          DocumentID
	UpdatedAtMs int64
}

// IndexChange is what becomes of one document in a search index. Terms are made of
// letters, digits and characters beyond ASCII, separated by one space.
type IndexChange struct {
	Space       SpaceID
	Doc         DocumentID
	Gone        bool // it is taken out; nothing below counts
	UpdatedAtMs int64
	Title       string // terms
	Text        string // terms
}

// SearchPhrase is terms that follow each other, in the title or in the text.
type SearchPhrase struct {
	Terms  []string
	Prefix bool // the last one stands for every term that begins with it
}

// SearchQuery asks for the documents that hold all of some phrases and none of others.
// A whole term counts in addition to the prefix that it is.
type SearchQuery struct {
	All     []SearchPhrase
	None    []SearchPhrase
	Weights [2]float64 // of an occurrence in the title, and in the text
}

// MatchInfo is what is known of one document that matches, in the order of SQLite's
// matchinfo('pcnalx'), https://www.sqlite.org/fts3.html#matchinfo: the numbers of phrases,
// columns and documents; the average length of each column, and the length here; and for
// each phrase and column the occurrences here, those everywhere, and in how many documents.
type MatchInfo []uint32

// IndexMatch is a document that a query found. A higher score is a better match.
type IndexMatch struct {
	IndexedDoc
	Score float64
}
