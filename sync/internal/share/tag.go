package share

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/sync/internal/wire"
)

// Tag names a space between two peers, as one of them tells it to the other.
type Tag = wire.Tag

// What the HMACs and signatures of this package are over begins with one of these.
const (
	tagDomain   = "soma-share-v1\x00"
	boxDomain   = "soma-box-v1\x00"
	proofDomain = "soma-join-v1\x00"
	rootDomain  = "soma-root-v1\x00"
)

// TagOf returns how from calls a space with that genesis when it speaks to to.
func TagOf(genesis core.Hash, from, to core.PeerID) Tag {
	sum := keyed(genesis, tagDomain, from, to)
	return Tag(sum[:len(Tag{})])
}

func keyed(genesis core.Hash, domain string, from, to core.PeerID) [sha256.Size]byte {
	h := hmac.New(sha256.New, genesis[:])
	h.Write([]byte(domain))
	h.Write(from.Key())
	h.Write(to.Key())
	return [sha256.Size]byte(h.Sum(nil))
}

// Root returns the hash over spaces and the states of their logs, which are in order of
// their tags. It is zero for none.
func Root(items []wire.SpaceItem) core.Hash {
	if len(items) == 0 {
		return core.Hash{}
	}
	h := sha256.New()
	h.Write([]byte(rootDomain))
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(items))))
	for _, it := range items {
		h.Write(it.Tag[:])
		h.Write(it.Digest[:])
	}
	return core.Hash(h.Sum(nil))
}

// ask returns the Join by which joiner asks server to be let into a space: proof that
// joiner has the ticket, which only who knows the space can read, and nobody else can use.
func ask(genesis core.Hash, key ed25519.PrivateKey, joiner, server core.PeerID) (wire.Join, error) {
	seal, err := boxCipher(genesis, joiner, server)
	if err != nil {
		return wire.Join{}, err
	}
	proof := ed25519.Sign(key, proven(genesis, joiner, server))
	box := make([]byte, seal.NonceSize(), wire.BoxBytes)
	if _, err := rand.Read(box); err != nil { // it never fails
		return wire.Join{}, err
	}
	plain := append([]byte(key.Public().(ed25519.PublicKey)), proof...)
	return wire.Join{Tag: TagOf(genesis, joiner, server), Box: seal.Seal(box, box, plain, nil)}, nil
}

// opened returns the invite of a Join that joiner sent to server, if its proof is right.
func opened(genesis core.Hash, j wire.Join, joiner, server core.PeerID) (core.InviteID, bool) {
	seal, err := boxCipher(genesis, joiner, server)
	if err != nil || len(j.Box) != wire.BoxBytes {
		return core.InviteID{}, false
	}
	plain, err := seal.Open(nil, j.Box[:seal.NonceSize()], j.Box[seal.NonceSize():], nil)
	if err != nil || len(plain) != ed25519.PublicKeySize+ed25519.SignatureSize {
		return core.InviteID{}, false
	}
	invite, proof := plain[:ed25519.PublicKeySize], plain[ed25519.PublicKeySize:]
	return core.InviteID(invite), ed25519.Verify(invite, proven(genesis, joiner, server), proof)
}

func boxCipher(genesis core.Hash, joiner, server core.PeerID) (cipher.AEAD, error) {
	key := keyed(genesis, boxDomain, joiner, server)
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// proven is what the invite's key signs.
func proven(genesis core.Hash, joiner, server core.PeerID) []byte {
	b := append([]byte(proofDomain), genesis[:]...)
	b = append(b, joiner.Key()...)
	return append(b, server.Key()...)
}
