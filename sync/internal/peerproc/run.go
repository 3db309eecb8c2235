package peerproc

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/soma-sdk/soma"
	somasync "github.com/soma-sdk/soma/sync"
	"github.com/soma-sdk/soma/sync/internal/peertest"
)

// variable holds what a process is to be.
const variable = "SOMA_SYNC_TEST_PEER"

// Config is what a process is told at its start.
type Config struct {
	Dir    string
	Listen []string // multiaddrs
	Nearby bool     // finds others in the local network

	Log bool // to its standard error; Start sets it
}

// Main runs a peer, if this process is to be one, and does not return then. It belongs to
// the beginning of TestMain.
func Main() {
	text := os.Getenv(variable)
	if text == "" {
		return
	}
	if err := run(text, os.Stdin); err != nil {
		fmt.Println("!", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// program is a running peer.
type program struct {
	db   *soma.DB
	out  sync.Mutex
	work sync.WaitGroup
}

func run(text string, in io.Reader) error {
	var c Config
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return err
	}
	nodeOpts := []somasync.Option{somasync.WithListen(c.Listen...)}
	if c.Nearby {
		nodeOpts = append(nodeOpts, somasync.WithMDNS())
	}
	node, err := somasync.New(nodeOpts...)
	if err != nil {
		return err
	}
	opts := []soma.Option{soma.WithSync(node), soma.WithoutSearch()}
	if c.Log {
		opts = append(opts, soma.WithLogger(slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))))
	}
	db, err := soma.Open(c.Dir, opts...)
	if err != nil {
		return err
	}
	p := &program{db: db}
	ctx, cancel := context.WithCancel(context.Background())
	p.say("= open")
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		answer, err := p.do(ctx, strings.Fields(lines.Text()))
		if err != nil {
			p.say("! %s: %v", lines.Text(), err)
			continue
		}
		p.say("= %s", answer)
	}
	cancel()
	p.work.Wait()
	return db.Close()
}

func (p *program) say(format string, args ...any) {
	p.out.Lock()
	defer p.out.Unlock()
	fmt.Printf(format+"\n", args...)
}

// do does what a line says and returns the answer.
func (p *program) do(ctx context.Context, words []string) (string, error) {
	arg := func(n int) string {
		if n < len(words) {
			return words[n]
		}
		return ""
	}
	number := func(n int) int {
		v, _ := strconv.Atoi(arg(n)) // 0 for what is no number
		return v
	}
	space := soma.SpaceID(arg(1))
	switch arg(0) {
	case "addrs":
		return strings.Join(p.db.Sync().Addrs(), " "), nil
	case "create":
		s, err := p.db.Spaces().Create(ctx, soma.NewSpace{Name: arg(1)})
		return string(s.ID), err
	case "invite":
		return p.db.Spaces().Invite(ctx, space, soma.RoleEditor, soma.InviteOptions{Uses: 5})
	case "join":
		s, err := p.db.Spaces().Join(ctx, arg(1))
		return string(s.ID), err
	case "connect":
		return "", p.db.Sync().Connect(ctx, arg(1))
	case "type": // space, name, count, bytes of padding
		return "", p.typeWords(ctx, space, arg(2), number(3), number(4))
	case "typing": // the same in the background
		p.work.Go(func() {
			if err := p.typeWords(ctx, space, arg(2), number(3), number(4)); err != nil && ctx.Err() == nil {
				p.say("! typing: %v", err)
			}
		})
		return "", nil
	case "words":
		return p.words(ctx, space)
	case "status":
		return p.status(ctx, space)
	case "put": // space, seed, size
		content := peertest.Bytes(uint64(number(2)), number(3))
		info, err := p.db.Blobs().Put(ctx, space, bytes.NewReader(content), soma.PutOptions{})
		return string(info.CID), err
	case "fetch": // space, cid: in the background, until it is here
		return "", p.fetch(ctx, space, soma.CID(arg(2)))
	case "here": // space, cid, seed, size
		err := peertest.SameBlob(ctx, p.db, space, soma.CID(arg(2)), peertest.Bytes(uint64(number(3)), number(4)))
		if errors.Is(err, soma.ErrNotFound) || errors.Is(err, soma.ErrNotHere) {
			return "no", nil
		}
		return "yes", err
	case "verify":
		found, err := p.db.Verify(ctx)
		if err == nil && len(found) > 0 {
			err = fmt.Errorf("%d problems, first %s", len(found), found[0])
		}
		return "", err
	}
	return "", fmt.Errorf("unknown command")
}

// typeWords types words into documents of about a megabyte, and tells each that is safe.
func (p *program) typeWords(ctx context.Context, space soma.SpaceID, name string, count, padding int) error {
	pad := strings.Repeat("x", padding)
	for i := range count {
		doc := soma.DocumentID(fmt.Sprintf("%s-%d", name, i*(padding+10)/(1<<20)))
		word := fmt.Sprintf("%s.%d", name, i)
		_, err := p.db.Documents().Edit(ctx, space, doc, func(tx *soma.EditTx) error {
			return tx.Text(peertest.Text).Insert(0, word+"/"+pad+" ", nil)
		})
		if err != nil {
			return err
		}
		p.say("+ %s", word)
	}
	return nil
}

// words returns the words of a space without their padding.
func (p *program) words(ctx context.Context, space soma.SpaceID) (string, error) {
	all, err := peertest.Words(ctx, p.db, space)
	if errors.Is(err, soma.ErrNotFound) {
		return "", nil
	}
	words := make([]string, 0, len(all))
	for word := range all {
		word, _, _ := strings.Cut(word, "/")
		words = append(words, word)
	}
	slices.Sort(words)
	return strings.Join(words, " "), err
}

// status returns how many members are connected, how many changes are here only, and how
// many blobs are wanted.
func (p *program) status(ctx context.Context, space soma.SpaceID) (string, error) {
	all, err := p.db.Sync().Status(ctx)
	if err != nil {
		return "", err
	}
	for _, s := range all.Spaces {
		if s.Space == space {
			return fmt.Sprint(s.Peers, " ", s.OnlyHere, " ", s.WantedBlobs), nil
		}
	}
	return "0 0 0", nil
}

// fetch asks for a blob.
func (p *program) fetch(ctx context.Context, space soma.SpaceID, cid soma.CID) error {
	return peertest.Want(ctx, p.db, space, cid)
}
