// A document for the editors that want one. To be imported before them.

import { JSDOM } from 'jsdom'

const { window } = new JSDOM('<!doctype html><html><body></body></html>', { pretendToBeVisual: true, url: 'https://example.org/' })

for (const name of [
  'window', 'document', 'Node', 'Element', 'HTMLElement', 'HTMLDivElement', 'SVGElement', 'Text', 'DOMParser', 'MutationObserver',
  'getComputedStyle', 'getSelection', 'requestAnimationFrame', 'cancelAnimationFrame', 'Range', 'Selection', 'Event', 'KeyboardEvent',
  'MouseEvent', 'CustomEvent', 'DocumentFragment', 'XMLSerializer', 'NodeFilter', 'HTMLAnchorElement', 'HTMLImageElement', 'ShadowRoot'
]) {
  globalThis[name] ??= name === 'window' ? window : window[name]
}
globalThis.navigator ??= window.navigator
globalThis.innerHeight ??= window.innerHeight
window.document.elementFromPoint ??= () => null
window.Range.prototype.getClientRects ??= () => []
window.Range.prototype.getBoundingClientRect ??= () => new window.DOMRect()
