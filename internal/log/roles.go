package log

import (
	"fmt"

	"github.com/soma-sdk/soma/internal/core"
)

// Role is what a member may do.
type Role uint8

// The roles. The numbers are those of the format.
const (
	RoleOwner  Role = 1 // manage, write, read
	RoleEditor Role = 2 // write, read
	RoleViewer Role = 3 // read
	RoleCache  Role = 4 // store and serve
)

// String returns the role's name, "none" for that of somebody who is no member.
func (r Role) String() string {
	switch r {
	case 0:
		return "none"
	case RoleOwner:
		return "owner"
	case RoleEditor:
		return "editor"
	case RoleViewer:
		return "viewer"
	case RoleCache:
		return "cache"
	}
	return fmt.Sprintf("role %d", uint8(r))
}

// MarshalText implements encoding.TextMarshaler with the role's name. A role that has none
// is core.ErrInvalidOption.
func (r Role) MarshalText() ([]byte, error) {
	if r > RoleCache {
		return nil, fmt.Errorf("%s: %w", r, core.ErrInvalidOption)
	}
	return []byte(r.String()), nil
}

// UnmarshalText implements encoding.TextUnmarshaler: it takes what MarshalText returns.
// Anything else is core.ErrInvalidOption.
func (r *Role) UnmarshalText(text []byte) error {
	for role := Role(0); role <= RoleCache; role++ {
		if role.String() == string(text) {
			*r = role
			return nil
		}
	}
	return fmt.Errorf("role %.20q: %w", text, core.ErrInvalidOption)
}

// Kind is what a member is.
type Kind uint8

// The kinds. The numbers are those of the format.
const (
	KindDevice Kind = 1
	KindBot    Kind = 2
	KindCache  Kind = 3
)

// String returns the kind's name.
func (k Kind) String() string {
	switch k {
	case KindDevice:
		return "device"
	case KindBot:
		return "bot"
	case KindCache:
		return "cache"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// MarshalText implements encoding.TextMarshaler with the kind's name. A kind that has none
// is core.ErrInvalidOption.
func (k Kind) MarshalText() ([]byte, error) {
	if k < KindDevice || k > KindCache {
		return nil, fmt.Errorf("%s: %w", k, core.ErrInvalidOption)
	}
	return []byte(k.String()), nil
}

// UnmarshalText implements encoding.TextUnmarshaler: it takes what MarshalText returns.
// Anything else is core.ErrInvalidOption.
func (k *Kind) UnmarshalText(text []byte) error {
	for kind := KindDevice; kind <= KindCache; kind++ {
		if kind.String() == string(text) {
			*k = kind
			return nil
		}
	}
	return fmt.Errorf("kind %.20q: %w", text, core.ErrInvalidOption)
}

// Capability is what an op needs its author to have.
type Capability uint8

// The capabilities, each held by fewer than the one before.
const (
	CapSelf   Capability = iota // nothing: a statement about oneself
	CapMember                   // any role
	CapRead                     // all but caches
	CapWrite                    // owners and editors
	CapManage                   // owners
)

// Has reports whether the role gives the capability. No role, 0, gives CapSelf only.
func (r Role) Has(c Capability) bool {
	switch c {
	case CapSelf:
		return true
	case CapMember:
		return r >= RoleOwner && r <= RoleCache
	case CapRead:
		return r >= RoleOwner && r <= RoleViewer
	case CapWrite:
		return r == RoleOwner || r == RoleEditor
	case CapManage:
		return r == RoleOwner
	}
	return false
}

// Exceeds reports whether the role gives a capability that the other does not.
func (r Role) Exceeds(other Role) bool {
	for c := CapMember; c <= CapManage; c++ {
		if r.Has(c) && !other.Has(c) {
			return true
		}
	}
	return false
}
