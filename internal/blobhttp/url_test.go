package blobhttp_test

import (
	"crypto/sha256"
	"errors"
	"strings"
	"testing"

	"github.com/soma-sdk/soma/internal/blobhttp"
	"github.com/soma-sdk/soma/internal/core"
)

func TestURL(t *testing.T) {
	u := blobhttp.FormatURL(space, missing)
	if want := "soma-blob://daemon/" + string(space) + "/" + string(missing); u != want {
		t.Fatalf("FormatURL = %q, want %q", u, want)
	}
	s, c, err := blobhttp.ParseURL(u)
	if s != space || c != missing || err != nil {
		t.Fatalf("ParseURL(%q) = %q, %q, %v", u, s, c, err)
	}
}

func TestInvalidURLs(t *testing.T) {
	s, c := string(space), string(missing)
	good := blobhttp.FormatURL(space, missing)
	for _, u := range []string{
		"", "soma-blob:", "soma-blob://", "soma-blob://daemon", "soma-blob://daemon/", "soma-blob://daemon/" + s, "soma-blob://daemon/" + s + "/",
		"SOMA-BLOB://daemon/" + s + "/" + c, "soma-blob://DAEMON/" + s + "/" + c, "soma-blob://other/" + s + "/" + c, "http://daemon/" + s + "/" + c,
		"soma-blob:/daemon/" + s + "/" + c, "soma-blob:daemon/" + s + "/" + c, "soma-blob:///" + s + "/" + c, "//daemon/" + s + "/" + c, "/" + s + "/" + c,
		"soma-blob://daemon:80/" + s + "/" + c, "soma-blob://daemon./" + s + "/" + c, "soma-blob://user@daemon/" + s + "/" + c,
		"soma-blob://daemon//" + s + "/" + c, "soma-blob://daemon/" + s + "//" + c, "soma-blob://daemon/../" + s + "/" + c, "soma-blob://daemon/" + c + "/" + s,
		"soma-blob://daemon/" + s + "/../" + c, "soma-blob://daemon/x/" + s + "/" + c, "soma-blob://daemon\\" + s + "\\" + c,
		good + "/", good + "/x", good + "?", good + "?download", good + "#", good + "#x", good + " ", " " + good, good + "\n", good + "\x00",
		"soma-blob://daemon/" + strings.ToUpper(s) + "/" + c, "soma-blob://daemon/" + s + "/" + strings.ToUpper(c), strings.ToUpper(good),
		"soma-blob://daemon/%62" + s[1:] + "/" + c, "soma-blob://daemon/" + s + "/%62" + c[1:], "soma-blob://daemon/" + s + "%2f" + c,
		"soma-blob://daemon/" + s[:58] + "/" + c, "soma-blob://daemon/" + s + "/" + c[:58], "soma-blob://daemon/unknown/" + c, "soma-blob://daemon/ipfs/" + c,
		"soma-blob://daemon/" + s + "/" + strings.Repeat("b", 1<<20), "soma-blob://daemon/" + strings.Repeat("b", 1<<20), strings.Repeat("b", 1<<20),
	} {
		gotSpace, gotCID, err := blobhttp.ParseURL(u)
		if gotSpace != "" || gotCID != "" || !errors.Is(err, core.ErrInvalidURL) {
			t.Errorf("ParseURL(%.100q) = %q, %q, %v", u, gotSpace, gotCID, err)
		} else if len(err.Error()) > 1000 {
			t.Errorf("the error has %d bytes", len(err.Error()))
		}
	}
	for cid, wrong := range map[string]bool{
		c[:58]: true, strings.ToUpper(c): true, "Qm" + strings.Repeat("a", 44): true, "": true, s: true, c + "/": true, c + "?x": true, c: false,
	} {
		_, _, err := blobhttp.ParseURL("soma-blob://daemon/" + s + "/" + cid)
		if errors.Is(err, core.ErrInvalidCID) != wrong {
			t.Errorf("CID %q: %v", cid, err)
		}
	}
	if _, _, err := blobhttp.ParseURL("soma-blob://daemon/x/" + c); errors.Is(err, core.ErrInvalidCID) {
		t.Errorf("the space is invalid: %v", err)
	}
}

func FuzzURL(f *testing.F) {
	f.Add(blobhttp.FormatURL(space, missing), []byte("space"), []byte("blob"), "a", "b")
	f.Add("soma-blob://daemon/a/b", []byte{}, []byte{0}, string(space)+"/"+string(missing), "")
	f.Fuzz(func(t *testing.T, text string, one, two []byte, oddSpace, oddCID string) {
		s, c := core.SpaceIDFromHash(sha256.Sum256(one)), core.CIDFromHash(sha256.Sum256(two))
		gotSpace, gotCID, err := blobhttp.ParseURL(blobhttp.FormatURL(s, c))
		if gotSpace != s || gotCID != c || err != nil {
			t.Fatalf("ParseURL(FormatURL(%q, %q)) = %q, %q, %v", s, c, gotSpace, gotCID, err)
		}
		if s, c, err := blobhttp.ParseURL(text); err == nil && blobhttp.FormatURL(s, c) != text {
			t.Fatalf("ParseURL(%q) = %q, %q", text, s, c)
		}
		odd := blobhttp.FormatURL(core.SpaceID(oddSpace), core.CID(oddCID))
		if s, c, err := blobhttp.ParseURL(odd); err == nil && (string(s) != oddSpace || string(c) != oddCID) {
			t.Fatalf("ParseURL(%q) = %q, %q", odd, s, c)
		}
	})
}
