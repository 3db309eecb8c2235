package search

import (
	"math"

	"github.com/soma-sdk/soma/internal/core"
)

// The parameters of BM25, as FTS5 has them.
const bm25K, bm25B = 1.2, 0.75

// rank returns the score of a match by BM25. It is the formula of FTS5's bm25(),
// https://www.sqlite.org/fts5.html#the_bm25_function, so that both engines order alike.
// FTS4 does not say in how many documents a phrase is in any column: the most of one
// column stands for it, which is right where the title is part of the text.
func rank(m core.MatchInfo, weights [2]float64) float64 {
	const header = 3
	if len(m) < header {
		return 0
	}
	phrases, columns, docs := int(m[0]), int(m[1]), float64(m[2])
	if columns != len(weights) || len(m) != header+2*columns+3*phrases*columns {
		return 0
	}
	average, here, hits := m[header:header+columns], m[header+columns:header+2*columns], m[header+2*columns:]
	var length, usual float64
	for c := range columns {
		length += float64(here[c])
		usual += float64(average[c])
	}
	norm := bm25K * (1 - bm25B + bm25B*length/max(usual, 1))
	score := 0.0
	for range phrases {
		var frequency, having float64
		for c := range columns {
			frequency += weights[c] * float64(hits[0])
			having = max(having, float64(hits[2]))
			hits = hits[3:]
		}
		rarity := max(math.Log((docs-having+0.5)/(having+0.5)), 1e-6)
		score += rarity * frequency * (bm25K + 1) / (frequency + norm)
	}
	return score
}
