package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/soma-sdk/soma/internal/somatest"
)

// asProgram, in the environment, makes the test binary the program itself: so that it can
// be killed.
const asProgram = "SOMA_EDITOR"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	somatest.Main(m)
}

// patience is how long anything may take.
const patience = 2 * time.Minute

// program is the editor in a process of its own.
type program struct {
	t    *testing.T
	dir  string
	cmd  *exec.Cmd
	in   io.Closer
	link string // for a browser
	user *http.Client
}

// start starts a program in a directory. It ends with the test.
func start(t *testing.T, dir string) *program {
	t.Helper()
	p := &program{t: t, dir: dir}
	p.run()
	t.Cleanup(p.end)
	return p
}

func (p *program) run() {
	p.t.Helper()
	p.cmd = exec.Command(os.Args[0], "-dir", p.dir)
	p.cmd.Env = append(os.Environ(), asProgram+"=1")
	p.cmd.Stderr = os.Stderr
	var err error
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		p.t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if p.link = lines.Text(); strings.HasPrefix(p.link, "http://") {
			break
		}
	}
	if p.user, err = logIn(p.link); err != nil {
		p.t.Fatalf("the program printed %q: %v", p.link, err)
	}
}

// kill ends it as a crash does.
func (p *program) kill() {
	p.t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		p.t.Fatal(err)
	}
	_ = p.cmd.Wait() // it says that it was killed
	p.user.CloseIdleConnections()
}

// end ends it as its input does.
func (p *program) end() {
	p.in.Close()
	p.user.CloseIdleConnections()
	late := time.AfterFunc(patience, func() { _ = p.cmd.Process.Kill() })
	defer late.Stop()
	if err := p.cmd.Wait(); err != nil {
		p.t.Errorf("the program ended with %v", err)
	}
}

// call calls the API as the page does.
func (p *program) call(method, path string, in, out any) {
	p.t.Helper()
	base, _, _ := strings.Cut(p.link, "?")
	if err := call(p.user, method, base+"api/"+path, in, out); err != nil {
		p.t.Fatalf("%s %s = %v", method, path, err)
	}
}

// browser is a Chromium that playwright-core drives.
type browser struct {
	t   *testing.T
	in  io.WriteCloser
	out *bufio.Reader
}

func startBrowser(t *testing.T) *browser {
	t.Helper()
	if !built() {
		t.Skip("the page is not built: npm ci && npm run build in examples/editor/web")
	}
	if _, err := os.Stat("web/node_modules/playwright-core"); err != nil {
		t.Skip("playwright-core is not installed: npm ci in examples/editor/web")
	}
	cmd := exec.Command("node", filepath.Join("web", "test", "driver.mjs"), findChromium(t))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		late := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
		defer late.Stop()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the browser ended with %v", err)
		}
	})
	return &browser{t, in, bufio.NewReader(out)}
}

func findChromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("there is no Chromium")
	return ""
}

// run runs the body of an async function beside the browser, and decodes what it returns
// into result, unless that is nil. In the body $0, $1, ... stand for the arguments.
func (b *browser) run(result any, code string, args ...any) {
	b.t.Helper()
	for i, arg := range args {
		code = strings.ReplaceAll(code, "$"+string(rune('0'+i)), js(arg))
	}
	line := js(map[string]string{"code": code})
	if _, err := b.in.Write([]byte(line + "\n")); err != nil {
		b.t.Fatal(err)
	}
	reply, err := b.out.ReadBytes('\n')
	if err != nil {
		b.t.Fatalf("the browser is gone: %v", err)
	}
	var answer struct {
		Value json.RawMessage
		Error string
	}
	if err := json.Unmarshal(reply, &answer); err != nil {
		b.t.Fatal(err)
	}
	if answer.Error != "" {
		b.t.Fatalf("%s\nin %s", answer.Error, code)
	}
	if result == nil {
		return
	}
	if err := json.Unmarshal(answer.Value, result); err != nil {
		b.t.Fatalf("%v: %s", err, answer.Value)
	}
}

func js(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err)
	}
	return strings.TrimSpace(b.String())
}

// until waits until something is so.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

// square is a picture of one colour, 320 pixels wide, in base64.
func square(t *testing.T, c color.Color) string {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, 320, 200))
	draw.Draw(img, img.Bounds(), image.NewUniform(c), image.Point{}, draw.Src)
	var out bytes.Buffer
	if err := png.Encode(&out, img); err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(out.Bytes())
}
