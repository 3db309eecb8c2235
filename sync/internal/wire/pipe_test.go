package wire_test

import (
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/soma-sdk/soma/sync/internal/wire"
)

func TestPipe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := wire.Pipe()
		go func() {
			if n, err := a.Write(make([]byte, 3*wire.PipeBuffer)); n != 3*wire.PipeBuffer || err != nil {
				t.Errorf("Write = %d, %v", n, err)
			}
			if err := a.CloseWrite(); err != nil {
				t.Error(err)
			}
		}()
		got, err := io.ReadAll(b)
		if len(got) != 3*wire.PipeBuffer || err != nil {
			t.Errorf("ReadAll = %d bytes, %v", len(got), err)
		}
		if _, err := b.Write([]byte("x")); err != nil {
			t.Errorf("Write after the other side's CloseWrite = %v", err)
		}
		_ = b.Close()
		if got, err := io.ReadAll(a); string(got) != "x" || err != nil {
			t.Errorf("ReadAll = %q, %v", got, err)
		}
	})
}

func TestPipeDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := wire.Pipe()
		began := time.Now()
		_ = a.SetReadDeadline(began.Add(time.Second))
		if _, err := a.Read(make([]byte, 1)); !wire.IsTimeout(err) || time.Since(began) != time.Second {
			t.Errorf("Read = %v after %v, want a timeout after 1s", err, time.Since(began))
		}
		_ = b.SetWriteDeadline(began.Add(2 * time.Second))
		if n, err := b.Write(make([]byte, wire.PipeBuffer+1)); n != wire.PipeBuffer || !wire.IsTimeout(err) {
			t.Errorf("Write = %d, %v, want a timeout", n, err)
		}
		// The frame as a whole has to come in time.
		c, d := wire.NewConn(a), b
		c.SetPatience(3*time.Second, time.Second)
		_ = d.SetWriteDeadline(time.Time{})
		_ = a.SetReadDeadline(time.Time{})
		if _, err := io.ReadFull(a, make([]byte, wire.PipeBuffer)); err != nil {
			t.Fatal(err)
		}
		began = time.Now()
		go func() {
			for _, x := range []byte{10, 0x82, byte(wire.KindLast), 0} {
				_, _ = d.Write([]byte{x})
				time.Sleep(time.Second)
			}
		}()
		if _, err := c.Read(limits()); !wire.IsTimeout(err) || time.Since(began) != 3*time.Second {
			t.Errorf("Read of a slow frame = %v after %v, want a timeout after 3s", err, time.Since(began))
		}
		time.Sleep(time.Minute)
	})
}

func TestPipeReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := wire.Pipe()
		go func() {
			time.Sleep(time.Second)
			_ = b.Reset(wire.CodeParted)
		}()
		if _, err := a.Read(make([]byte, 1)); !wire.IsParted(err) || wire.IsOffence(err) {
			t.Errorf("Read = %v, want a reset as parted", err)
		}
		if _, err := a.Write([]byte{1}); !wire.IsParted(err) {
			t.Errorf("Write = %v, want a reset as parted", err)
		}
		if _, err := b.Read(make([]byte, 1)); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("Read of the own side = %v, want io.ErrClosedPipe", err)
		}
	})
}

func TestCodes(t *testing.T) {
	for _, test := range []struct {
		err  error
		want wire.Code
	}{
		{nil, wire.CodeNone},
		{wire.Breach("x"), wire.CodeProtocol},
		{wire.Excess("x"), wire.CodeLimit},
		{&wire.Error{Code: wire.CodeBusy, Remote: true}, wire.CodeNone},
		{io.EOF, wire.CodeInternal},
	} {
		if got := wire.CodeFor(test.err); got != test.want {
			t.Errorf("CodeFor(%v) = %v, want %v", test.err, got, test.want)
		}
	}
}
