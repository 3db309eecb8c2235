// Package browsertest has a real Chromium use blobs.
package browsertest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/soma-sdk/soma"
	"github.com/soma-sdk/soma/internal/somatest"
)

func TestMain(m *testing.M) { somatest.Main(m) }

func TestLiveBrowser(t *testing.T) {
	if _, err := os.Stat("node/node_modules/multiformats"); err != nil {
		t.Skip("multiformats is not installed: npm ci in internal/blobhttp/browsertest/node")
	}
	w := &browser{host: newHost(t), chromium: startChromium(t)}
	t.Run("picture", w.picture)
	t.Run("cache", w.cache)
	t.Run("film", w.film)
	t.Run("seek", w.seek)
	t.Run("ranges", w.ranges)
	t.Run("inert", w.inert)
	t.Run("media types", w.mediaTypes)
	t.Run("scripts", w.scripts)
	t.Run("downloads", w.downloads)
	t.Run("CIDs", w.cids)
	t.Run("URLs", w.urls)
}

type browser struct {
	*host
	*chromium
}

// app opens the page.
func (b *browser) app(t *testing.T) page {
	p := b.open(t)
	if !p.visit(b.URL + "/") {
		t.Fatal("the page was not loaded")
	}
	return p
}

// square is a picture of one colour.
func square(t *testing.T, c color.Color) []byte {
	img := image.NewRGBA(image.Rect(0, 0, 20, 20))
	for i := range 400 {
		img.Set(i%20, i/20, c)
	}
	var out bytes.Buffer
	if err := png.Encode(&out, img); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func (b *browser) picture(t *testing.T) {
	p := b.app(t)
	for _, c := range []color.RGBA{{200, 0, 0, 255}, {0, 0, 200, 255}} {
		var got []int
		p.run("return soma.pixel(await soma.add('img', {src: "+js(b.store(t, square(t, c), "", "square.png"))+"}))", &got)
		if !slices.Equal(got, []int{int(c.R), int(c.G), int(c.B), 255}) {
			t.Errorf("the picture has the colour %v, want %v", got, c)
		}
	}
	var failed string
	unknown := strings.Replace(b.store(t, square(t, color.Black), "", ""), "/bafk", "/bafy", 1)
	p.run("try { await soma.add('img', {src: "+js(unknown)+"}) } catch (e) { return e.message }", &failed)
	if failed == "" {
		t.Error("a picture that is not there was loaded")
	}
}

// cache loads the same blob again and again: it is fetched once, also when the page is reloaded, and
// if the page insists the answer is 304.
func (b *browser) cache(t *testing.T) {
	p := b.app(t)
	path := b.store(t, square(t, color.RGBA{1, 2, 3, 255}), "image/png", "")
	show := "await soma.add('img', {src: " + js(path) + "})"
	for range 3 {
		p.run(show, nil)
		p.visit(b.URL + "/")
	}
	p.c.mu.Lock()
	p.c.events = nil
	p.c.mu.Unlock()
	p.call("Page.reload", nil, nil)
	p.c.event(t, p.session, "Page.loadEventFired")
	p.run(show, nil)
	if got := b.requests(path); len(got) != 1 || got[0].code != 200 {
		t.Errorf("requests for one picture: %+v", got)
	}
	var code int
	p.run("const r = await fetch("+js(path)+", {cache: 'no-cache'}); await r.arrayBuffer(); return r.status", &code)
	got := b.requests(path)
	if last := got[len(got)-1]; code != 200 || len(got) != 2 || last.code != 304 || last.match == "" {
		t.Errorf("the page sees %d, requests: %+v", code, got)
	}
}

// film has the browser record a film, store it, play it, and jump in it.
func (b *browser) film(t *testing.T) {
	p := b.app(t)
	var got struct {
		Width       int
		First, Last []int
	}
	p.run(`
		const {url} = await soma.put(await soma.film(), 'video/webm; codecs=vp8')
		const video = await soma.add('video', {src: url, muted: true, preload: 'auto'}, 'loadeddata')
		const first = soma.pixel(video)
		// A recording does not say how long it is: its end is looked for.
		video.currentTime = 1e6
		await soma.event(video, 'seeked')
		return {width: video.videoWidth, first, last: soma.pixel(video)}`, &got)
	if got.Width != 64 || got.First[0] < 200 || got.First[2] > 50 || got.Last[0] > 50 || got.Last[2] < 200 {
		t.Errorf("the film: %+v, want red first and blue last", got)
	}
}

// sound is noise that lasts.
func sound(seconds int) []byte {
	const rate = 44_100
	var out bytes.Buffer
	out.WriteString("RIFF")
	n := uint32(seconds * rate * 4)
	for _, v := range []any{
		36 + n, []byte("WAVEfmt "), uint32(16), uint16(1), uint16(2), uint32(rate), uint32(rate * 4), uint16(4), uint16(16), []byte("data"), n,
	} {
		_ = binary.Write(&out, binary.LittleEndian, v) // a Buffer takes all
	}
	noise := uint32(1)
	data := make([]byte, n)
	for i := range data {
		noise = noise*1664525 + 1013904223
		data[i] = byte(noise >> 24)
	}
	out.Write(data)
	return out.Bytes()
}

// seek jumps to the end of what is too long to be read up to there.
func (b *browser) seek(t *testing.T) {
	p := b.app(t)
	path := b.store(t, sound(300), "audio/wav", "noise.wav") // 53 MB
	var got struct{ At, After float64 }
	p.run(`
		const media = await soma.add('video', {src: `+js(path)+`, muted: true, preload: 'metadata'}, 'loadedmetadata')
		media.currentTime = 290
		await soma.event(media, 'seeked')
		const at = media.currentTime
		media.play()
		while (media.currentTime < at + 0.2) await soma.event(media, 'timeupdate')
		const after = media.currentTime
		media.removeAttribute('src')
		media.load()
		return {at, after}`, &got)
	if got.At < 289 || got.At > 291 || got.After <= got.At {
		t.Errorf("the sound: %+v", got)
	}
	far := slices.ContainsFunc(b.requests(path), func(r request) bool {
		var from int64
		_, err := fmt.Sscanf(r.ranges, "bytes=%d-", &from)
		return err == nil && from > 40<<20 && r.code == 206
	})
	if !far {
		t.Errorf("no range at the end: %+v", b.requests(path))
	}
}

// ranges compares parts of a blob with what they are parts of.
func (b *browser) ranges(t *testing.T) {
	p := b.app(t)
	var wrong []string
	p.run(`
		const all = soma.random(3_000_000)
		const {url} = await soma.put(all, 'application/octet-stream')
		const wrong = []
		for (const [range, from, to] of [['0-0', 0, 1], ['0-999', 0, 1000], ['65535-65536', 65535, 65537], ['2999999-', 2999999, 3000000],
			['-1500000', 1500000, 3000000], ['1048576-2097151', 1048576, 2097152], ['0-', 0, 3000000]]) {
			const response = await fetch(url, {headers: {Range: 'bytes=' + range}, cache: 'no-store'})
			const got = new Uint8Array(await response.arrayBuffer())
			const want = all.subarray(from, to)
			const says = response.headers.get('Content-Range')
			if (response.status !== 206 || says !== 'bytes ' + from + '-' + (to - 1) + '/3000000' || await soma.cidOf(got) !== await soma.cidOf(want)) {
				wrong.push(range + ': ' + response.status + ', ' + says)
			}
		}
		return wrong`, &wrong)
	if len(wrong) > 0 {
		t.Errorf("ranges: %q", wrong)
	}
}

// tell is a script that tells that it runs, before the page that it is in is loaded.
func tell(who string) string {
	return "var x = new XMLHttpRequest(); x.open('POST', '/ran/" + who + "', false); x.send()"
}

func svg(who string) []byte {
	return []byte(`<svg xmlns="http://www.w3.org/2000/svg" width="400" height="300" onload="` + tell(who) + `">` +
		`<style>rect { fill: #00c800 }</style><rect width="400" height="300"/><script>` + tell(who) + `</script></svg>`)
}

func html(who string) []byte {
	return []byte(`<!doctype html><style>body { background: #00c800 }</style><body onload="` + tell(who) + `"><script>` + tell(who) + `</script>` +
		`<img src="data:," onerror="` + tell(who) + `"><iframe srcdoc="<script>` + tell(who) + `</script>"></iframe>`)
}

func xhtml(who string) []byte {
	return []byte(`<html xmlns="http://www.w3.org/1999/xhtml"><style>body { background: #00c800 }</style><body><script>` + tell(who) + `</script></body></html>`)
}

// inert shows documents with scripts in them in all ways there are. They are seen, and run
// only where the handler does not serve them.
func (b *browser) inert(t *testing.T) {
	for _, doc := range []struct {
		name, mime string
		make       func(who string) []byte
	}{{"svg", "image/svg+xml", svg}, {"html", "text/html", html}, {"xhtml", "application/xhtml+xml", xhtml}} {
		for _, how := range []string{"img", "iframe", "object", "embed", "top"} {
			if how == "img" && doc.name != "svg" {
				continue
			}
			for _, bare := range []bool{true, false} {
				who := fmt.Sprintf("%s-%s-%t", doc.name, how, bare)
				var path string
				if bare {
					path = b.bareStore(doc.make(who), doc.mime, who)
				} else {
					path = b.store(t, doc.make(who), doc.mime, "")
				}
				t.Run(who, func(t *testing.T) {
					p := b.app(t)
					switch how {
					case "top":
						p.visit(b.URL + path)
					case "object":
						p.run("await soma.add('object', {data: "+js(path)+", type: "+js(doc.mime)+"})", nil)
					case "embed":
						p.run("await soma.add('embed', {src: "+js(path)+", type: "+js(doc.mime)+"})", nil)
					default:
						p.run("await soma.add("+js(how)+", {src: "+js(path)+"})", nil)
					}
					if want := bare && how != "img"; b.hasRun(who) != want {
						t.Errorf("the script has run: %t, want %t", !want, want)
					}
					if got := p.middle(); got != (color.RGBA{0, 200, 0, 255}) {
						t.Errorf("it looks %v", got)
					}
				})
			}
		}
	}
}

// middle is the colour of what is seen, at a place where whatever was added is.
func (p page) middle() color.RGBA {
	p.t.Helper()
	var shot struct{ Data []byte }
	p.call("Page.captureScreenshot", nil, &shot)
	img, err := png.Decode(bytes.NewReader(shot.Data))
	if err != nil {
		p.t.Fatal(err)
	}
	return color.RGBAModel.Convert(img.At(100, 60)).(color.RGBA)
}

// mediaTypes visits scripts that are said to be of all types that might run.
func (b *browser) mediaTypes(t *testing.T) {
	p := b.open(t)
	b.call(t, "", "Browser.setDownloadBehavior", map[string]any{"behavior": "deny"}, nil)
	for _, mime := range []string{
		"text/html", "TEXT/HTML;charset=utf-8", "application/xhtml+xml", "image/svg+xml", "text/xml", "application/xml", "text/xsl", "application/rss+xml",
		"application/atom+xml", "application/mathml+xml", "audio/x+xml", "application/x+xml", "image/svg", "text/plain", "text/javascript", "application/json",
		"text/css", "multipart/related; boundary=x", "multipart/x-mixed-replace; boundary=x", "message/rfc822", "application/octet-stream", "application/x-unknown",
		"application/pdf", "image/png", "video/webm", "text/markdown", "text/csv",
	} {
		for i, make := range []func(string) []byte{html, xhtml, svg, mixed} {
			who := strings.NewReplacer(";", "", "/", "-", "=", "", " ", "").Replace(fmt.Sprint(mime, i))
			p.visit(b.URL + b.store(t, make(who), mime, ""))
			if b.hasRun(who) {
				t.Errorf("%q has run as %s", make(who), mime)
			}
		}
	}
	for mime, make := range map[string]func(string) []byte{
		"text/html": mixed, "application/xhtml+xml": xhtml, "image/svg+xml": svg, "text/xml": xhtml, "application/xml": svg, "text/xsl": html,
	} {
		who := "bare-" + strings.ReplaceAll(mime, "/", "-")
		if p.visit(b.URL + b.bareStore(make(who), mime, who)); !b.hasRun(who) {
			t.Errorf("%s does not run without the handler either: the test sees nothing", mime)
		}
	}
}

func mixed(who string) []byte {
	return fmt.Appendf(nil, "--x\r\nContent-Type: text/html\r\n\r\n%s\r\n--x--\r\n", html(who))
}

// scripts has a page run a blob on purpose, or by an injected tag: as it comes from where the
// page does, a policy of the page would allow it.
func (b *browser) scripts(t *testing.T) {
	p := b.app(t)
	for _, mime := range []string{"text/javascript", "application/javascript", "text/plain", "application/octet-stream", "text/html", "application/json", "image/png"} {
		for _, bare := range []bool{true, false} {
			who := strings.ReplaceAll(mime, "/", "-") + fmt.Sprint(bare)
			path := b.bareStore([]byte(tell(who)), mime, who)
			if !bare {
				path = b.store(t, []byte(tell(who)), mime, "")
			}
			p.run("try { await soma.add('script', {src: "+js(path)+"}) } catch {}", nil)
			if got, want := b.hasRun(who), bare && mime != "image/png"; got != want {
				t.Errorf("%s, without the handler %t: it has run: %t", mime, bare, got)
			}
		}
	}
}

// downloads looks at where the browser puts attachments.
func (b *browser) downloads(t *testing.T) {
	p := b.open(t)
	dir := t.TempDir()
	b.call(t, "", "Browser.setDownloadBehavior", map[string]any{"behavior": "allow", "downloadPath": dir, "eventsEnabled": true}, nil)
	for i, c := range []struct{ mime, name, query, want string }{
		{"text/html", "page.html", "?download", "page.html"},
		{"image/svg+xml", "", "?download=" + url.QueryEscape("Gr\u00fc\u00dfe \u4e16\u754c.svg"), "Gr\u00fc\u00dfe \u4e16\u754c.svg"},
		{"application/pdf", "paper.pdf", "?download", "paper.pdf"},
		{"text/plain", "", "?download=" + url.QueryEscape("../../etc/passwd.txt"), "_.._etc_passwd.txt"},
		{"text/plain", "", "?download=" + url.QueryEscape("a\"b;c%41.txt"), "a_b;c%41.txt"},
		{"application/x-unknown", "", "?download=" + url.QueryEscape("of no type.xyz"), "of no type.xyz"},
	} {
		data := fmt.Appendf(nil, "file %d", i)
		if p.visit(b.URL + b.store(t, data, c.mime, c.name) + c.query) {
			t.Errorf("%s was opened", c.want)
			continue
		}
		b.event(t, "", "Browser.downloadWillBegin")
		for {
			e := b.event(t, "", "Browser.downloadProgress")
			if bytes.Contains(e.Params, []byte(`"completed"`)) {
				break
			}
			if bytes.Contains(e.Params, []byte(`"canceled"`)) {
				t.Fatalf("%s: %s", c.want, e.Params)
			}
		}
		if got, err := os.ReadFile(filepath.Join(dir, c.want)); err != nil || !bytes.Equal(got, data) {
			t.Errorf("the file holds %q, %v, want %q", got, err, data)
		}
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 6 {
		t.Errorf("files: %v, %v", files, err)
	}
}

// cids compares the CIDs of multiformats with ours.
func (b *browser) cids(t *testing.T) {
	p := b.app(t)
	for _, size := range []int{0, 1, 55, 56, 64, 1000, 65_536, 1 << 20, 1<<20 + 1, 5_000_000} {
		var got struct{ CID, URL string }
		p.run(fmt.Sprintf("return await soma.put(soma.random(%d), 'application/octet-stream')", size), &got) // ErrCIDMismatch else
		if got.URL != b.path(soma.CID(got.CID)) {
			t.Errorf("%d bytes are stored as %s, the page says %s", size, got.URL, got.CID)
		}
		var fetched string
		p.run("return await soma.cidOf(new Uint8Array(await (await fetch("+js(got.URL)+", {cache: 'no-store'})).arrayBuffer()))", &fetched)
		if fetched != got.CID {
			t.Errorf("%d bytes come back as %s, want %s", size, fetched, got.CID)
		}
		info, err := b.db.Blobs().Stat(t.Context(), b.space, soma.CID(got.CID))
		if err != nil || info.Size != int64(size) {
			t.Errorf("Stat(%s) = %+v, %v", got.CID, info, err)
		}
	}
	info, err := b.db.Blobs().Put(t.Context(), b.space, strings.NewReader("from Go"), soma.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var cid soma.CID
	p.run("return await soma.cidOf(new TextEncoder().encode('from Go'))", &cid)
	if cid != info.CID {
		t.Errorf("Put = %s, the page says %s", info.CID, cid)
	}
}

// urls reads blob URLs as a browser does, and compares that with ParseBlobURL.
func (b *browser) urls(t *testing.T) {
	p := b.app(t)
	info, err := b.db.Blobs().Put(t.Context(), b.space, strings.NewReader("a file"), soma.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	good := soma.FormatBlobURL(b.space, info.CID)
	s, c := string(b.space), string(info.CID)
	accepted := 0
	for _, text := range []string{
		good, good + "/", good + "?", good + "?x", good + "#", good + "#x", " " + good, good + "\n", strings.ToUpper(good), "SOMA-BLOB" + good[9:],
		strings.Replace(good, "daemon", "DAEMON", 1), strings.Replace(good, "daemon", "daemon:80", 1), strings.Replace(good, "daemon", "me@daemon", 1),
		strings.Replace(good, "daemon", "me:x@daemon", 1), strings.Replace(good, "daemon", "@daemon", 1), strings.Replace(good, "daemon", "daemon:", 1),
		strings.Replace(good, "daemon", "d%61emon", 1), strings.Replace(good, "daemon", "other", 1), strings.Replace(good, "//", "/", 1),
		strings.Replace(good, "daemon/", "daemon/../", 1), strings.Replace(good, "daemon/", "daemon/./", 1), strings.Replace(good, "daemon/", "daemon/x/../", 1),
		strings.Replace(good, "daemon/", "daemon//", 1), strings.ReplaceAll(good, "/", "\\"), strings.Replace(good, "/baf", "/%62af", 1),
		"soma-blob://daemon/" + c + "/" + s, "soma-blob://daemon/" + s + "/" + strings.ToUpper(c), "soma-blob://daemon/" + s, "soma-blob://daemon", "soma-blob:", "",
		soma.FormatBlobURL(b.space, soma.CID(c[:58])), soma.FormatBlobURL("x", info.CID), soma.FormatBlobURL(b.space, ""), "http://daemon/" + s + "/" + c,
	} {
		var want *struct {
			Space soma.SpaceID
			CID   soma.CID
		}
		p.run("return soma.parse("+js(text)+")", &want)
		space, cid, err := soma.ParseBlobURL(text)
		switch {
		case want == nil && !errors.Is(err, soma.ErrInvalidBlobURL):
			t.Errorf("ParseBlobURL(%q) = %q, %q, %v; the browser refuses it", text, space, cid, err)
		case want != nil && (err != nil || space != want.Space || cid != want.CID):
			t.Errorf("ParseBlobURL(%q) = %q, %q, %v; the browser reads %+v", text, space, cid, err, want)
		case want != nil:
			accepted++
		}
	}
	if accepted != 1 {
		t.Errorf("the browser accepts %d of the URLs", accepted)
	}
}
