package main

import (
	"context"
	"fmt"
	"image/color"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/soma-sdk/soma"
	"github.com/soma-sdk/soma/internal/somatest"
	"github.com/soma-sdk/soma/internal/yjs/yprotocol"
	somasync "github.com/soma-sdk/soma/sync"
)

func TestLiveTogether(t *testing.T) {
	b := startBrowser(t)
	anna, bert, carl := start(t, t.TempDir()), start(t, t.TempDir()), start(t, t.TempDir())

	// Anna makes a space with a page, in two tabs.
	var at string
	b.run(&at, `
		await open('anna', $0)
		const { anna } = tabs
		await anna.getByLabel('Your name').fill('Anna')
		await anna.getByRole('button', { name: 'Create a space' }).click()
		await anna.keyboard.type('Garden club')
		await anna.keyboard.press('Enter')
		await anna.getByRole('button', { name: 'Create the first page' }).click()
		await anna.waitForFunction(() => document.activeElement?.id === 'title')
		await anna.keyboard.type('Spring')
		await anna.keyboard.press('Enter')
		await anna.keyboard.type('First:\nSecond:\nThird:')
		await status(anna, 'Saved')
		tabs.second = await tab(anna.context(), anna.url())
		await until('the second tab shows it', async () => (await text(tabs.second)).endsWith('Third:'))
		return new URL(anna.url()).hash`, anna.link)
	space, page, ok := strings.Cut(strings.TrimPrefix(at, "#/"), "/")
	if !ok {
		t.Fatalf("the page is at %q", at)
	}

	// Bert joins by a ticket as an editor, Carl as a viewer; both paste it.
	join(b, bert, "bert", "editor")
	join(b, carl, "carl", "viewer")
	bot := startBot(t, anna, soma.SpaceID(space))

	// All type at the same time, each in a line of their own, and so does the bot.
	var typing sync.WaitGroup
	typing.Go(func() {
		for i := range 30 {
			if err := bot.say(page, fmt.Sprintf("bot says %d", i)); err != nil {
				t.Error(err)
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	})
	b.run(nil, `
		const lines = { anna: 'First: peas and beans are in the ground since march', second: 'Second: who waters them while we are away', bert: 'Third: I do if somebody shows me where the can is' }
		await Promise.all(Object.entries(lines).map(async ([name, line], i) => {
			const tab = tabs[name]
			await until(name + ' has the lines', async () => (await text(tab)).includes('Third:'))
			await caret(tab, i)
			await tab.keyboard.type(line.slice(line.indexOf(':') + 1), { delay: 15 })
		}))
		await status(tabs.anna, 'Saved')`)
	typing.Wait()
	var shown map[string]string
	until(t, "all pages and the bot have the same text", func() bool {
		b.run(&shown, `
			const all = {}
			for (const [name, tab] of Object.entries(tabs)) all[name] = await text(tab)
			return all`)
		text := bot.text(t, page)
		same := len(shown) == 4 && strings.Contains(text, "where the can is")
		for _, got := range shown {
			same = same && got == text
		}
		return same
	})
	for _, line := range []string{
		"First: peas and beans are in the ground since march", "Second: who waters them while we are away",
		"Third: I do if somebody shows me where the can is", "bot says 0", "bot says 29",
	} {
		if !strings.Contains(shown["carl"], line) {
			t.Errorf("the text is %q, want %q in it", shown["carl"], line)
		}
	}

	t.Run("picture", func(t *testing.T) { livePicture(t, b) })
	t.Run("viewer", func(t *testing.T) { liveViewer(t, b, carl, soma.SpaceID(space), page) })
	t.Run("roles", func(t *testing.T) { liveRoles(t, b) })
	t.Run("looks", func(t *testing.T) { liveLooks(t, b) })
	t.Run("kill", func(t *testing.T) { liveKill(t, b, anna, bot, page) })
	noProblems(t, b)
}

// join has a program join the space that Anna shows.
func join(b *browser, p *program, name, role string) {
	b.t.Helper()
	b.run(nil, `
		const { anna } = tabs
		await anna.getByLabel('Role of who is invited').selectOption($2)
		await anna.getByRole('button', { name: 'Invite' }).click()
		const ticket = await anna.getByLabel('Ticket', { exact: true }).inputValue()
		await anna.getByRole('button', { name: 'Done' }).click()
		await open($1, $0)
		const own = tabs[$1]
		await own.getByLabel('Your name').fill($1.replace(/./, (c) => c.toUpperCase()))
		await own.getByRole('button', { name: 'Join with a ticket' }).last().click()
		await own.keyboard.insertText(ticket)
		await own.keyboard.press('Enter')
		await own.locator('.tree').getByRole('link', { name: 'Spring' }).waitFor()`, p.link, name, role)
}

// noProblems looks for what went wrong in the pages, apart from what a connection says that
// is cut.
func noProblems(t *testing.T, b *browser) {
	t.Helper()
	var problems []string
	b.run(&problems, `return Object.values(tabs).flatMap((tab) => tab.problems.splice(0))`)
	for _, p := range problems {
		if !strings.Contains(p, "ERR_") && !strings.Contains(p, "WebSocket connection") {
			t.Errorf("a page says: %s", p)
		}
	}
}

// bot is a member of the space in this process, which edits in Go.
type bot struct {
	db    *soma.DB
	space soma.SpaceID
}

func startBot(t *testing.T, by *program, space soma.SpaceID) bot {
	t.Helper()
	node, err := somasync.New(somasync.WithListen("/ip4/127.0.0.1/tcp/0"))
	if err != nil {
		t.Fatal(err)
	}
	b := bot{somatest.Open(t, soma.WithSync(node)), space}
	var ticket string
	by.call("POST", "spaces/"+string(space)+"/invites", map[string]any{"Role": soma.RoleEditor}, &ticket)
	if _, err := b.db.Spaces().Join(t.Context(), ticket, soma.AsKind(soma.KindBot)); err != nil {
		t.Fatal(err)
	}
	until(t, "the bot has joined", func() bool {
		can, err := b.db.Spaces().Can(t.Context(), space, soma.CapWrite)
		return can && err == nil
	})
	return b
}

// say adds a paragraph.
func (b bot) say(page, text string) error {
	_, err := b.db.Documents().Edit(context.Background(), b.space, page, func(tx *soma.EditTx) error {
		paragraph := soma.NewXMLElement("paragraph")
		if err := paragraph.Push(soma.NewXMLText(text)); err != nil {
			return err
		}
		return tx.XMLFragment("prosemirror").Push(paragraph)
	})
	return err
}

func (b bot) text(t *testing.T, page string) string {
	t.Helper()
	text, err := b.db.Documents().Text(t.Context(), b.space, page)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// livePicture drops a picture on Anna's page, which Bert sees.
func livePicture(t *testing.T, b *browser) {
	b.t = t
	b.run(nil, `
		await tabs.anna.evaluate(async (picture) => {
			const bytes = Uint8Array.from(atob(picture), (c) => c.charCodeAt(0))
			const transfer = new DataTransfer()
			transfer.items.add(new File([bytes], 'sky.png', { type: 'image/png' }))
			const line = document.querySelector('.ProseMirror > p')
			const { left, top } = line.getBoundingClientRect()
			line.dispatchEvent(new DragEvent('drop', { dataTransfer: transfer, bubbles: true, cancelable: true, clientX: left + 2, clientY: top + 8 }))
		}, $0)
		for (const name of ['anna', 'bert', 'carl']) {
			await tabs[name].waitForFunction(() => document.querySelector('.ProseMirror img[alt="sky.png"]')?.naturalWidth === 320)
		}`, square(t, color.RGBA{120, 170, 220, 255}))
}

// liveViewer finds Carl's page read-only, and what a client of his sends that is none.
func liveViewer(t *testing.T, b *browser, carl *program, space soma.SpaceID, page string) {
	b.t = t
	var got struct {
		Editable, Status, Title, Note string
		Tools, Buttons                int
	}
	b.run(&got, `
		const { carl } = tabs
		const before = await text(carl)
		await carl.locator('.ProseMirror > p').first().click()
		await carl.keyboard.type('carl was here')
		if (await text(carl) !== before) throw new Error('the text has changed')
		return {
			Editable: await carl.locator('.ProseMirror').getAttribute('contenteditable'),
			Status: await carl.locator('#status').textContent(),
			Title: await carl.locator('#title').evaluate((title) => String(title.readOnly)),
			Note: await carl.locator('#notes').textContent(),
			Tools: await carl.getByRole('toolbar').count(),
			Buttons: await carl.getByRole('button', { name: 'New page' }).count(),
		}`)
	if got.Editable != "false" || got.Status != "Read only" || got.Title != "true" || !strings.Contains(got.Note, "viewer") || got.Tools+got.Buttons != 0 {
		t.Errorf("a viewer's page: %+v", got)
	}

	before := carl.text(t, space, page)
	conn := carl.dial(t)
	defer func() { _ = conn.CloseNow() }()
	name := string(space) + "/" + page
	send := func(m yprotocol.Message) {
		if err := conn.Write(t.Context(), websocket.MessageBinary, yprotocol.AppendNamed(nil, name, m)); err != nil {
			t.Fatal(err)
		}
	}
	send(yprotocol.Token(""))
	send(yprotocol.Update(somatest.Typed(7, 0, "hacked")))
	for {
		_, data, err := conn.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_, m, err := yprotocol.DecodeNamed(data)
		if err != nil {
			t.Fatal(err)
		}
		if status, ok := m.(yprotocol.SyncStatus); ok {
			if status {
				t.Error("a viewer's update was taken")
			}
			break
		}
	}
	if after := carl.text(t, space, page); after != before {
		t.Errorf("a viewer's update made %q of %q", after, before)
	}
}

// dial opens a socket as the page does.
func (p *program) dial(t *testing.T) *websocket.Conn {
	t.Helper()
	link := must(url.Parse(p.link))
	header := http.Header{"Origin": {"http://" + link.Host}}
	for _, cookie := range p.user.Jar.Cookies(link) {
		header.Add("Cookie", cookie.String())
	}
	conn, response, err := websocket.Dial(t.Context(), "ws://"+link.Host+"/documents", &websocket.DialOptions{HTTPHeader: header})
	if err != nil {
		t.Fatal(err)
	}
	if response.Body != nil {
		response.Body.Close()
	}
	conn.SetReadLimit(1 << 20)
	return conn
}

// text returns the state of a document that the program serves, as a client gets it.
func (p *program) text(t *testing.T, space soma.SpaceID, page string) string {
	t.Helper()
	conn := p.dial(t)
	defer func() { _ = conn.CloseNow() }()
	name := string(space) + "/" + page
	for _, m := range []yprotocol.Message{yprotocol.Token(""), yprotocol.SyncStep1{0}} {
		if err := conn.Write(t.Context(), websocket.MessageBinary, yprotocol.AppendNamed(nil, name, m)); err != nil {
			t.Fatal(err)
		}
	}
	for {
		_, data, err := conn.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, m, err := yprotocol.DecodeNamed(data); err == nil {
			if state, ok := m.(yprotocol.SyncStep2); ok {
				return string(state)
			}
		}
	}
}

// liveRoles makes Carl an editor, and a viewer again.
func liveRoles(t *testing.T, b *browser) {
	b.t = t
	b.run(nil, `
		const { anna, carl } = tabs
		const editable = (want) => carl.waitForFunction((want) => document.querySelector('.ProseMirror')?.contentEditable === want, want)
		const role = () => anna.locator('.members select').filter({ has: anna.locator('option[selected]', { hasText: 'viewer' }) })
		await role().selectOption('editor')
		await editable('true')
		await carl.locator('.ProseMirror > p').last().click()
		await carl.keyboard.press('End')
		await carl.keyboard.type(' and Carl agrees')
		await until('Bert sees it', async () => (await text(tabs.bert)).includes('and Carl agrees'))
		await anna.getByLabel('Role of Carl').selectOption('viewer')
		await editable('false')`)
}

// liveLooks looks for what does not fit: on a phone, in the dark, with both sides open.
func liveLooks(t *testing.T, b *browser) {
	b.t = t
	for _, width := range []int{360, 800, 1280} {
		for _, scheme := range []string{"light", "dark"} {
			var got struct {
				Wide       []string
				Background string
			}
			b.run(&got, `
				const { anna } = tabs
				await anna.setViewportSize({ width: $0, height: 740 })
				await anna.emulateMedia({ colorScheme: $1 })
				const wide = []
				for (const drawer of ['', 'side', 'panel']) {
					await anna.evaluate((drawer) => (document.body.dataset.drawer = drawer), drawer)
					wide.push(...await anna.evaluate((drawer) => [document.scrollingElement, ...document.querySelectorAll('#bar, #side, #panel, #page, article')]
						.filter((element) => element.scrollWidth > element.clientWidth && element.clientWidth > 0)
						.map((element) => (element.id || element.tagName) + ' ' + element.scrollWidth + ' with drawer ' + drawer), drawer))
				}
				await anna.evaluate(() => (document.body.dataset.drawer = ''))
				return { Wide: wide, Background: await anna.evaluate(() => getComputedStyle(document.body).backgroundColor) }`, width, scheme)
			if len(got.Wide) > 0 {
				t.Errorf("at %d px these scroll sideways: %q", width, got.Wide)
			}
			if dark := got.Background != "rgb(255, 255, 255)"; dark != (scheme == "dark") {
				t.Errorf("the background in %s is %s", scheme, got.Background)
			}
		}
	}
	b.run(nil, `
		await tabs.anna.setViewportSize({ width: 1280, height: 800 })
		await tabs.anna.emulateMedia({ colorScheme: 'light' })`)
}

// liveKill kills Anna's program in the middle of her typing: what was shown as saved is
// there after a restart and a reload, and what was not is sent again.
func liveKill(t *testing.T, b *browser, anna *program, bot bot, page string) {
	b.t = t
	b.run(nil, `
		const { anna } = tabs
		await anna.locator('.ProseMirror > p').first().click()
		await anna.keyboard.press('End')
		await anna.keyboard.type(' KEPT')
		await status(anna, 'Saved')`)
	typing := make(chan struct{})
	go func() {
		defer close(typing)
		time.Sleep(200 * time.Millisecond)
		anna.kill()
	}()
	b.run(nil, `await tabs.anna.keyboard.type(' and still typing when it died', { delay: 20 })`)
	<-typing
	b.run(nil, `await status(tabs.anna, 'Not connected')`)
	anna.run()
	var text string
	b.run(&text, `
		const { anna } = tabs
		await status(anna, 'Saved')
		await anna.reload()
		await until('it is there', async () => (await text(anna)).includes('KEPT'))
		await status(anna, 'Saved')
		return text(anna)`)
	if want := "KEPT and still typing when it died"; strings.Count(text, want) != 1 {
		t.Errorf("after the crash the page has %q, want %q once", text, want)
	}
	until(t, "the bot has what was typed", func() bool { return bot.text(t, page) == text })
}

func TestLiveDraft(t *testing.T) {
	b := startBrowser(t)
	p := start(t, t.TempDir())
	var space soma.Space
	p.call("POST", "spaces", map[string]string{"Name": "Notes"}, &space)
	var page soma.Page
	p.call("POST", "spaces/"+string(space.ID)+"/pages", soma.NewPage{Title: "Today"}, &page)
	path := "spaces/" + string(space.ID) + "/pages/" + page.ID + "/draft"
	b.run(nil, `
		await open('a', $0)
		await status(tabs.a, 'Saved')
		await tabs.a.locator('.ProseMirror').click()
		await tabs.a.keyboard.type('saved ')
		await status(tabs.a, 'Saved')`, p.link)

	// The socket is down, the program is there: the draft is in its Mailbox, and another
	// browser is offered it.
	b.run(nil, `
		const context = await browser.newContext()
		await context.routeWebSocket(/documents/, (socket) => {
			const server = socket.connectToServer()
			context.cut = () => (socket.close(), server.close())
			if (context.isCut) context.cut()
		})
		tabs.b = await tab(context, $0)
		await status(tabs.b, 'Saved')
		context.isCut = true
		context.cut()
		await status(tabs.b, 'Not connected')
		await tabs.b.locator('.ProseMirror').click()
		await tabs.b.keyboard.press('End')
		await tabs.b.keyboard.type('words of b')`, p.link)
	until(t, "the Mailbox has the draft", func() bool {
		var draft *soma.Draft
		p.call("GET", path, nil, &draft)
		return draft != nil && strings.Contains(draft.Snippet, "words of b")
	})
	b.run(nil, `
		await tabs.b.context().close()
		delete tabs.b
		await tabs.a.reload()
		const note = tabs.a.getByRole('alert')
		await note.getByText('words of b').waitFor()
		if ((await text(tabs.a)).includes('words of b')) throw new Error('it was restored without being asked')
		await note.getByRole('button', { name: 'Restore' }).click()
		await until('it is restored', async () => (await text(tabs.a)) === 'saved words of b')
		await note.waitFor({ state: 'detached' })`)

	// The program is down, and the tab is closed before it comes back.
	p.kill()
	b.run(nil, `
		await status(tabs.a, 'Not connected')
		await tabs.a.locator('.ProseMirror').click()
		await tabs.a.keyboard.press('End')
		await tabs.a.keyboard.type(' and of a')
		globalThis.left = { url: tabs.a.url(), context: tabs.a.context() }
		await tabs.a.close({ runBeforeUnload: true })`)
	p.run()
	b.run(nil, `
		const a = (tabs.a = await tab(left.context, left.url))
		await a.getByRole('alert').getByText('and of a').waitFor()
		await a.getByRole('button', { name: 'Restore' }).click()
		await until('it is restored', async () => (await text(a)) === 'saved words of b and of a')
		await status(a, 'Saved')
		await a.reload()
		await until('it is restored', async () => (await text(a)) === 'saved words of b and of a')
		await status(a, 'Saved')
		await a.waitForTimeout(500)
		if (await a.getByRole('alert').count()) throw new Error('it is offered again')`)
	noProblems(t, b)
	b.run(nil, `
		await tabs.a.context().close()
		delete tabs.a`)
	var draft *soma.Draft
	if p.call("GET", path, nil, &draft); draft != nil {
		t.Errorf("the draft is still there: %s", js(draft))
	}
}

// TestLiveKeyboard does without a mouse.
func TestLiveKeyboard(t *testing.T) {
	b := startBrowser(t)
	p := start(t, t.TempDir())
	b.run(nil, `
		await open('a', $0)
		const { a } = tabs
		const focused = (name) => a.waitForFunction((name) => (document.activeElement?.ariaLabel || document.activeElement?.textContent) === name, name)
		const tabTo = async (name) => {
			for (let i = 0; i < 40; i++) {
				await a.keyboard.press('Tab')
				if (await a.evaluate((name) => (document.activeElement?.ariaLabel || document.activeElement?.textContent) === name, name)) return
			}
			throw new Error('Tab never comes to ' + name)
		}
		await a.getByRole('button', { name: 'Create a space' }).waitFor()
		await tabTo('Create a space')
		const outline = await a.evaluate(() => getComputedStyle(document.activeElement).outlineStyle)
		if (outline !== 'solid') throw new Error('the focus is not seen: ' + outline)
		await a.keyboard.press('Enter')
		await a.keyboard.type('Mine')
		await a.keyboard.press('Enter')
		await a.getByRole('button', { name: 'Create the first page' }).waitFor()
		for (const title of ['One', 'Two']) {
			await a.keyboard.press('Alt+n')
			await focused('Title of the page')
			await a.keyboard.type(title)
			await a.keyboard.press('Enter')
			await focused('Text of the page')
			await a.keyboard.type('text of ' + title)
			await a.locator('.tree').getByRole('link', { name: title }).waitFor()
		}
		const titles = async (want) => {
			await a.waitForFunction((want) => [...document.querySelectorAll('.tree a')].map((link) => link.textContent).join(' ') === want, want)
		}
		await tabTo('One')
		await a.keyboard.press('Alt+ArrowDown')
		await titles('Two One')
		await focused('One')
		await a.keyboard.press('Alt+ArrowRight')
		await a.locator('.tree ul').getByRole('link', { name: 'One' }).waitFor()
		await focused('One')
		await a.keyboard.press('Alt+ArrowLeft')
		await a.locator('.tree ul').waitFor({ state: 'detached' })
		await a.keyboard.press('ArrowUp')
		await focused('Two')
		await a.keyboard.press('Delete')
		await a.getByText('Trash (1)').waitFor()
		await titles('One Two')
		await tabTo('One')
		await a.keyboard.press('Enter')
		await a.waitForFunction(() => document.getElementById('title')?.value === 'One')
		await a.getByLabel('Title of the page').focus()
		await a.keyboard.press('End')
		await a.keyboard.type(' and a half') // and leaves at once
		await a.reload()
		await a.locator('.tree').getByRole('link', { name: 'One and a half' }).waitFor()`, p.link)
	noProblems(t, b)
}

// TestLiveScreenshot takes the picture of the README, if it is told where to put it.
func TestLiveScreenshot(t *testing.T) {
	path := os.Getenv("SOMA_SCREENSHOT")
	if path == "" {
		path = t.TempDir() + "/editor.png"
	}
	b := startBrowser(t)
	anna, bert := start(t, t.TempDir()), start(t, t.TempDir())
	b.run(nil, `
		await open('anna', $0)
		const { anna } = tabs
		await anna.getByLabel('Your name').fill('Anna')
		await anna.getByRole('button', { name: 'Create a space' }).click()
		await anna.keyboard.type('Garden club')
		await anna.keyboard.press('Enter')
		await anna.getByRole('button', { name: 'Create the first page' }).waitFor()
		for (const [title, text] of [
			['Members’ meeting', 'Wednesday at seven, in the shed.'],
			['Seeds to order', 'By the end of January.'],
			['Spring', '# Beds\nThe south bed has rested for a year: beans, then squash.\n> Nothing goes in before the soil has six degrees.\n\n# Who does what\n- Anna brings the compost\nBert repairs the water butt\nCarl asks for the long ladder\n\n'],
		]) {
			await anna.keyboard.press('Alt+n')
			await anna.waitForFunction(() => document.activeElement?.id === 'title')
			await anna.keyboard.insertText(title)
			await anna.keyboard.press('Enter')
			await anna.keyboard.type(text)
			await status(anna, 'Saved')
			await anna.locator('.tree').getByRole('link', { name: title }).waitFor()
		}`, anna.link)
	join(b, bert, "bert", "editor")
	b.run(nil, `
		const { anna, bert } = tabs
		const context = await browser.newContext({ viewport: { width: 1280, height: 800 } })
		tabs.phone = await tab(context, $0)
		const { phone } = tabs
		await status(phone, 'Saved') // it has gone to the first page by itself
		await phone.evaluate(() => localStorage.setItem('name', 'Bert'))
		await phone.goto(anna.url())
		await phone.reload()
		await phone.getByText('Carl asks').click()
		await phone.keyboard.press('End')
		await anna.getByRole('button', { name: 'Put Spring into the trash' }).waitFor()
		await anna.locator('.tree').getByRole('link', { name: 'Spring' }).focus()
		await anna.keyboard.press('Alt+ArrowUp')
		await anna.keyboard.press('Alt+ArrowUp')
		await bert.locator('.tree').getByRole('link', { name: 'Spring' }).click()
		await bert.getByText('The south bed').click()
		await bert.keyboard.press('End')
		await bert.keyboard.type(' Courgettes along the fence.')
		await anna.getByText('Courgettes').waitFor()
		await phone.getByText('Carl asks').click()
		await phone.keyboard.press('End')
		await phone.keyboard.type(', again', { delay: 10 })
		await anna.getByText('ladder, again').waitFor()
		await anna.getByText('Nothing goes in').click()
		await anna.keyboard.press('End')
		await anna.waitForFunction(() => document.getElementById('only-here').textContent === 'nothing')
		await anna.locator('.cursor').first().waitFor()
		await anna.waitForTimeout(500)
		await anna.screenshot({ path: $1 })`, anna.link, path)
	picture, err := os.Stat(path)
	if err != nil || picture.Size() > 200<<10 || picture.Size() < 10<<10 {
		t.Errorf("the screenshot: %v, %v, want 10 to 200 KiB", picture, err)
	}
	noProblems(t, b)
}
