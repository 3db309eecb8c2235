package somasync

import (
	"context"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
)

// noted is a directory that notes nothing.
type noted struct{ core.Replica }

func (noted) Acknowledge(context.Context, core.SpaceID, core.PeerID, []core.LogRow) error {
	return nil
}

func (noted) AcknowledgeTaken(context.Context, core.SpaceID, core.PeerID, []core.LogRow) error {
	return nil
}

func (noted) AcknowledgeAll(context.Context, core.SpaceID, core.PeerID, core.Summary) error {
	return nil
}

func (noted) Exchanged(context.Context, core.SpaceID, core.PeerID, core.Mark, int64) error {
	return nil
}

// Whatever is noted of a peer changes the status.
func TestNotesAreTold(t *testing.T) {
	told := 0
	var r core.Replica = noting{noted{}, func() { told++ }}
	ctx := t.Context()
	for name, note := range map[string]func() error{
		"Acknowledge":      func() error { return r.Acknowledge(ctx, "", core.PeerID{}, nil) },
		"AcknowledgeTaken": func() error { return r.AcknowledgeTaken(ctx, "", core.PeerID{}, nil) },
		"AcknowledgeAll":   func() error { return r.AcknowledgeAll(ctx, "", core.PeerID{}, core.Summary{}) },
		"Exchanged":        func() error { return r.Exchanged(ctx, "", core.PeerID{}, core.Mark{}, 0) },
	} {
		told = 0
		if err := note(); err != nil || told != 1 {
			t.Errorf("%s = %v and told %d times, want 1", name, err, told)
		}
	}
}
