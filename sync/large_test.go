package somasync_test

import (
	"fmt"
	"testing"

	"github.com/soma-sdk/soma"
	somasync "github.com/soma-sdk/soma/sync"
)

// A space rides gossip while many of its members are connected, and what is written arrives
// before, meanwhile and afterwards. Whoever is removed gets nothing more.
func TestLargeSpace(t *testing.T) {
	var team []*device
	for range 4 {
		team = append(team, newDevice(t, somasync.WithMaxDirect(2)))
	}
	space := team[0].create(t)
	ticket := team[0].invite(t, space, 3)
	for _, d := range team[1:] {
		d.join(t, ticket)
	}
	n := 0
	write := func(what string, all ...*device) {
		t.Helper()
		for i, from := range all {
			n++
			doc, text := fmt.Sprint("page-", n), fmt.Sprintf("%s by %d", what, i)
			from.write(t, space, doc, text)
			for _, to := range all {
				to.wantText(t, space, doc, text)
			}
		}
	}
	large := func(want bool, all ...*device) {
		t.Helper()
		for i, d := range all {
			eventually(t, fmt.Sprintf("for %d the space is large: %v", i, want), func() bool { return d.status(t, space).Large == want })
		}
	}
	write("before", team...)
	large(true, team...)
	write("large", team...)

	for _, d := range team[2:] {
		d.close(t)
	}
	large(false, team[:2]...)
	write("small", team[:2]...)
	for _, d := range team[2:] {
		d.open(t)
	}
	large(true, team...)
	write("large again", team...)

	if err := team[0].Spaces().RemoveMember(t.Context(), space, team[3].PeerID(), soma.RemoveOptions{}); err != nil {
		t.Fatal(err)
	}
	team[0].write(t, space, "secret", "nothing for 3")
	for _, d := range team[1:3] {
		d.wantText(t, space, "secret", "nothing for 3")
	}
	never(t, "who was removed gets more", func() bool { return team[3].text(t, space, "secret") != "" })
	for i, d := range team[:3] {
		eventually(t, fmt.Sprintf("%d knows that others have what it wrote", i), func() bool { return d.status(t, space).OnlyHere == 0 })
	}
}
