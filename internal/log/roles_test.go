package log_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
)

func TestRolesAndKindsAreText(t *testing.T) {
	type member struct {
		Role log.Role
		Kind log.Kind
	}
	for _, tt := range []struct {
		m    member
		text string
	}{
		{member{0, log.KindDevice}, `{"Role":"none","Kind":"device"}`},
		{member{log.RoleOwner, log.KindBot}, `{"Role":"owner","Kind":"bot"}`},
		{member{log.RoleEditor, log.KindCache}, `{"Role":"editor","Kind":"cache"}`},
		{member{log.RoleViewer, log.KindDevice}, `{"Role":"viewer","Kind":"device"}`},
		{member{log.RoleCache, log.KindCache}, `{"Role":"cache","Kind":"cache"}`},
	} {
		text, err := json.Marshal(tt.m)
		if string(text) != tt.text || err != nil {
			t.Errorf("Marshal(%v) = %s, %v, want %s", tt.m, text, err, tt.text)
		}
		var got member
		if err := json.Unmarshal([]byte(tt.text), &got); got != tt.m || err != nil {
			t.Errorf("Unmarshal(%s) = %v, %v, want %v", tt.text, got, err, tt.m)
		}
	}
	for _, m := range []member{{log.RoleCache + 1, log.KindDevice}, {log.RoleOwner, 0}, {log.RoleOwner, log.KindCache + 1}} {
		if text, err := json.Marshal(m); !errors.Is(err, core.ErrInvalidOption) {
			t.Errorf("Marshal(%v) = %s, %v, want ErrInvalidOption", m, text, err)
		}
	}
	for _, text := range []string{`{"Role":""}`, `{"Role":"Owner"}`, `{"Role":"role 9"}`, `{"Kind":""}`, `{"Kind":"kind 0"}`, `{"Kind":"none"}`} {
		if err := json.Unmarshal([]byte(text), &member{}); !errors.Is(err, core.ErrInvalidOption) {
			t.Errorf("Unmarshal(%s) = %v, want ErrInvalidOption", text, err)
		}
	}
}
