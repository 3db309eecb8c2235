// Elements are made by h(tag, properties, ...children), text never becomes markup.
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(properties)) {
    if (name in element && !['role', 'selected', 'value'].includes(name)) element[name] = value
    else if (value != null && value !== false) element.setAttribute(name, value)
  }
  element.append(...children.flat().filter((child) => child != null && child !== false))
  return element
}

// Puts children in the place of those of an element, unless they are the same, and the
// focus where it was: on what has the same data-key.
export function show(element, ...children) {
  const fresh = h('div', {}, ...children.flat())
  if (fresh.innerHTML === element.innerHTML) return
  const key = element.contains(document.activeElement) && document.activeElement.dataset.key
  element.replaceChildren(...fresh.childNodes)
  if (key) element.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus()
}

// Makes a function of one that may not run while a button is pressed, which has to stay
// until that is a click.
export function unpressed(fn) {
  let pressed, waiting
  addEventListener('pointerdown', () => (pressed = true), true)
  for (const end of ['pointerup', 'pointercancel', 'dragend']) {
    addEventListener(end, () => setTimeout(() => {
      pressed = false
      if (waiting) waiting = fn()
    }), true)
  }
  return () => {
    if (pressed) waiting = true
    else fn()
  }
}

let hiding
export function toast(text) {
  const element = document.getElementById('toast')
  element.textContent = text
  element.classList.add('shown')
  clearTimeout(hiding)
  hiding = setTimeout(() => element.classList.remove('shown'), 5000)
}

// Makes a listener of a function that may fail: the user is told.
export const act = (fn) => async (event) => {
  event?.preventDefault?.()
  try {
    return await fn(event)
  } catch (err) {
    toast(err.message)
  }
}

// Asks for one line of text in a dialog, undefined if that is cancelled.
export function ask(title, label, button) {
  return new Promise((resolve) => {
    const input = h('input', { required: true, autocomplete: 'off', spellcheck: false, 'aria-label': label, placeholder: label })
    const form = h('form', { method: 'dialog' }, h('h2', {}, title), input, h('div', { className: 'row end' },
      h('button', { type: 'button', onclick: () => dialog.close() }, 'Cancel'),
      h('button', { className: 'primary', value: 'ok' }, button)))
    const dialog = h('dialog', { 'aria-label': title, onclose: () => {
      dialog.remove()
      resolve(dialog.returnValue === 'ok' ? input.value.trim() : undefined)
    } }, form)
    document.body.append(dialog)
    dialog.showModal()
  })
}
