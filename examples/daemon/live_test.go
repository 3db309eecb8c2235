package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestLiveElectron plays an Electron app with the real @grpc/grpc-js and @reduxjs/toolkit.
// This test program is its daemon.
func TestLiveElectron(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("node is not installed")
	}
	if _, err := os.Stat("node/node_modules/@grpc/grpc-js"); err != nil {
		t.Skip("@grpc/grpc-js is not installed: npm ci in examples/daemon/node")
	}
	live := exec.CommandContext(t.Context(), node, "live.mjs")
	live.Dir = "node"
	live.Env = append(os.Environ(), asDaemon+"=1", "SOMA_DAEMON="+must[string](t)(os.Executable()))
	out, err := live.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatalf("live.mjs = %v", err)
	}
	for _, step := range []string{"join", "events", "mailbox", "blobs", "documents", "stop", "crash"} {
		if !strings.Contains("\n"+string(out), "\nok "+step+": ") {
			t.Errorf("live.mjs did not come to the end of %q", step)
		}
	}
}
