package events_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/events"
)

func changedDoc(n int) events.DomainEvent {
	return events.DomainEvent{
		Kind: events.DocumentChanged, Source: events.SourceDaemon, SpaceID: "s", DocumentID: core.DocumentID(fmt.Sprint(n)),
	}
}

func TestFeed(t *testing.T) {
	hub := events.NewHub()
	defer hub.Close()
	hub.Emit(changedDoc(0)) // before it began
	feed := hub.Feed()
	if got := feed.Take(); len(got) != 0 || feed.Waiting() {
		t.Errorf("a new feed has %v", got)
	}
	hub.Emit(changedDoc(1), changedDoc(2), changedDoc(1))
	<-feed.Wake()
	if !feed.Waiting() {
		t.Error("nothing waits after Emit")
	}
	if got := feed.Take(); len(got) != 2 || got[0] != changedDoc(1) || got[1] != changedDoc(2) {
		t.Errorf("Take = %v, want 1 and 2 once", got)
	}
	if got := feed.Take(); len(got) != 0 || feed.Waiting() {
		t.Errorf("Take again = %v", got)
	}
	hub.Emit(changedDoc(3))
	<-feed.Wake()
	feed.Close()
	hub.Emit(changedDoc(4))
	if got := feed.Take(); len(got) != 1 || got[0] != changedDoc(3) {
		t.Errorf("Take after Close = %v, want 3", got)
	}
	if n := hub.Subscriptions(); n != 0 {
		t.Errorf("the hub has %d subscriptions after Close", n)
	}
}

// A feed that nobody empties is bounded, and covers all that happened.
func TestFeedWidens(t *testing.T) {
	hub := events.NewHubWithLimit(10)
	defer hub.Close()
	feed := hub.Feed()
	for i := range 1000 {
		hub.Emit(changedDoc(i))
	}
	got := feed.Take()
	if len(got) != 1 || got[0].Kind != events.SpaceChanged || got[0].Reason != events.ReasonWidened || got[0].SpaceID != "s" {
		t.Errorf("Take = %v, want one widened event", got)
	}
}

// Nothing is lost between Emit, Wake and Take of several goroutines.
func TestFeedIsComplete(t *testing.T) {
	hub := events.NewHub()
	defer hub.Close()
	feed := hub.Feed()
	defer feed.Close()
	const goroutines, each = 8, 200
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for i := range each {
				hub.Emit(changedDoc(g*each + i))
			}
		})
	}
	seen := map[core.DocumentID]bool{}
	for len(seen) < goroutines*each {
		<-feed.Wake()
		for _, e := range feed.Take() {
			seen[e.DocumentID] = true
		}
	}
	wg.Wait()
}

func TestFeedOfAClosedHub(t *testing.T) {
	hub := events.NewHub()
	hub.Close()
	feed := hub.Feed()
	hub.Emit(changedDoc(1))
	if got := feed.Take(); len(got) != 0 {
		t.Errorf("Take = %v, want nothing", got)
	}
	feed.Close()
}
