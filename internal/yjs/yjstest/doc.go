// Package yjstest tells whether an implementation of Yjs does what yjs does.
//
// Real yjs (node/, pinned) plays random editing sessions and records what it
// makes of them: documents after updates in causal, shuffled and duplicated
// order, merges, diffs, state vectors and content. [Run] judges an [Engine] by
// such sessions, [Score] counts instead of failing. Sessions come from the
// committed fixtures ([Fixtures]) or fresh from node ([Live]); [Verifier] has
// real yjs read what an engine wrote.
//
// The fixtures are made by
//
//	cd internal/yjs/yjstest/node && npm ci && npm run generate
package yjstest
