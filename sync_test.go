package soma_test

import (
	"errors"
	"os/exec"
	"strings"
	"testing"

	"github.com/soma-sdk/soma"
	"github.com/soma-sdk/soma/internal/somatest"
)

// What a host links that has no use for a network.
func TestProgramWithoutSyncLinksNoNetwork(t *testing.T) {
	t.Parallel()
	deps := func(pkg string) []string {
		out, err := exec.Command("go", "list", "-deps", pkg).Output()
		if err != nil {
			t.Fatalf("go list -deps %s = %v", pkg, err)
		}
		return strings.Fields(string(out))
	}
	count := func(pkg string) (n int) {
		for _, dep := range deps(pkg) {
			if strings.HasPrefix(dep, "github.com/libp2p/") || strings.HasPrefix(dep, "github.com/soma-sdk/soma/sync") {
				n++
			}
		}
		return n
	}
	if n := count("./examples/quickstart"); n != 0 {
		t.Errorf("the quick start imports %d packages of the network, want none", n)
	}
	if n := count("./sync"); n == 0 {
		t.Error("sync imports no package of the network, so that nothing was looked at")
	}
}

func TestWithoutNode(t *testing.T) {
	t.Parallel()
	db := somatest.Open(t, soma.WithManualSync())
	changes := db.Sync().Watch(t.Context())
	st, err := db.Sync().Status(t.Context())
	if err != nil || st.State != soma.SyncOff || st.Peers != 0 || len(st.Spaces) != 0 {
		t.Errorf("Status = %+v, %v, want SyncOff and nothing else", st, err)
	}
	for call, err := range map[string]error{
		"Start": db.Sync().Start(t.Context()), "Stop": db.Sync().Stop(t.Context()), "Connect": db.Sync().Connect(t.Context(), "x"),
		"Block": db.Sync().Block(t.Context(), db.PeerID()), "Allow": db.Sync().Allow(t.Context(), db.PeerID()),
	} {
		if !errors.Is(err, soma.ErrSyncOff) {
			t.Errorf("%s = %v, want ErrSyncOff", call, err)
		}
	}
	if addrs, peers := db.Sync().Addrs(), db.Sync().Peers(); len(addrs) != 0 || len(peers) != 0 {
		t.Errorf("Addrs and Peers = %q, %v, want none", addrs, peers)
	}
	mustClose(t, db)
	if _, open := <-changes; open {
		t.Error("Watch has a value after Close, want it closed")
	}
}
