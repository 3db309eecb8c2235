// A browser for the tests in Go: each line of the input is { code }, the body of an async
// function with what is in `world`; each line of the output is
// { value } or { error }.
import { createInterface } from 'node:readline'
import { chromium } from 'playwright-core'

const browser = await chromium.launch({
  executablePath: process.argv[2],
  args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1'],
})
const tabs = {}
const AsyncFunction = (async () => {}).constructor

// Opens a tab with cookies and a storage of its own, and remembers what goes wrong in it.
async function open(name, url, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options })
  tabs[name] = await tab(context, url)
}

async function tab(context, url) {
  const page = await context.newPage()
  page.setDefaultTimeout(60_000)
  page.problems = []
  page.on('pageerror', (err) => page.problems.push(String(err.stack ?? err)))
  page.on('console', (message) => message.type() === 'error' && page.problems.push(`${message.text()} (${message.location().url})`))
  await page.goto(url)
  return page
}

// The text that a tab shows, without the names of those who write in it.
const text = (tab) => tab.evaluate(() => [...document.querySelectorAll('.ProseMirror :is(p, h1, h2, h3, pre)')].map((block) => {
  const copy = block.cloneNode(true)
  for (const cursor of copy.querySelectorAll('.cursor')) cursor.remove()
  return copy.textContent
}).join('\n'))

// Waits until something is so.
async function until(what, is) {
  for (const end = Date.now() + 60_000; !(await is()); await new Promise((resolve) => setTimeout(resolve, 20))) {
    if (Date.now() > end) throw new Error(`${what}: not within 60 s`)
  }
}

// Puts the caret at the end of a line. A change of somebody else that comes between the
// click and the browser's telling of the new selection can put it back.
const caret = (tab, line) => until(`the caret is in line ${line}`, async () => {
  await paragraph(tab, line).click()
  await tab.keyboard.press('End')
  await tab.waitForTimeout(100)
  return paragraph(tab, line).evaluate((element) => element.contains(getSelection().anchorNode))
})
const paragraph = (tab, line) => tab.locator('.ProseMirror > p').nth(line)

const status = (tab, wanted) => tab.waitForFunction((wanted) => document.getElementById('status')?.textContent.startsWith(wanted), wanted)

const world = { browser, tabs, open, tab, text, until, caret, status }
for await (const line of createInterface({ input: process.stdin })) {
  let answer
  try {
    const fn = new AsyncFunction(...Object.keys(world), JSON.parse(line).code)
    answer = { value: (await fn(...Object.values(world))) ?? null }
  } catch (err) {
    answer = { error: String(err.stack ?? err) }
  }
  process.stdout.write(JSON.stringify(answer) + '\n')
}
await browser.close()
