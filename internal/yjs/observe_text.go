package yjs

// textDelta computes the delta of a text event, by the rules of yjs (YTextEvent).
func (e *Event) textDelta() []DeltaOp {
	w := textDelta{event: e}
	for it := e.Target.start; it != nil; it = it.right {
		switch c := it.content.(type) {
		case *typeContent, *embedContent, *stringContent:
			w.content(it)
		case *formatContent:
			w.format(it, c)
		}
	}
	w.flush()
	return w.out.trimmed()
}

// textDelta walks over a text and collects the step that is going on.
type textDelta struct {
	event   *Event
	out     deltaBuilder
	now     formats // in force after the change
	old     formats // in force before it
	changed formats // to be set on what is kept

	step   DeltaOp // not done yet: text that is inserted, or how much is kept or deleted
	insert []byte
}

func (w *textDelta) content(it *item) {
	e := w.event
	switch {
	case e.adds(it) && e.deletes(it):
	case e.adds(it):
		if c, ok := it.content.(*stringContent); ok {
			if len(w.insert) == 0 {
				w.flush()
			}
			w.insert = append(w.insert, c.text...)
			return
		}
		w.flush()
		w.out.ops = append(w.out.ops, DeltaOp{Insert: it.values(nil)[0], Attributes: w.now.object()})
	case e.deletes(it):
		if w.step.Delete == 0 {
			w.flush()
		}
		w.step.Delete += it.length
	case !it.deleted():
		if w.step.Retain == 0 {
			w.flush()
		}
		w.step.Retain += it.length
	}
}

// format follows a format that came, went or stayed. Redundant ones count as gone.
func (w *textDelta) format(it *item, f *formatContent) {
	e, gone := w.event, it.deleted()
	switch {
	case e.adds(it) && e.deletes(it):
	case e.adds(it):
		switch {
		case !w.now.get(f.key).equal(f):
			w.flushRetain()
			if w.old.get(f.key).equal(f) {
				w.changed.remove(f.key)
			} else {
				w.changed.set(f)
			}
		case f.value != nil:
			gone = true
		}
	case e.deletes(it):
		w.old.set(f)
		if was := w.now.get(f.key); !was.equal(f) {
			w.flushRetain()
			w.changed.set(was.as(f.key))
		}
	case !it.deleted():
		w.old.set(f)
		if set := w.changed.get(f.key); set != nil {
			switch {
			case !set.equal(f):
				w.flushRetain()
				if f.value == nil {
					w.changed.remove(f.key)
				} else {
					w.changed.set(f)
				}
			case set.value != nil:
				gone = true
			}
		}
	}
	if !gone {
		if len(w.insert) > 0 {
			w.flush()
		}
		w.now.apply(f)
	}
}

func (w *textDelta) flushRetain() {
	if w.step.Retain > 0 {
		w.flush()
	}
}

// flush ends the step that is going on.
func (w *textDelta) flush() {
	switch {
	case len(w.insert) > 0:
		w.out.ops = append(w.out.ops, DeltaOp{Insert: string(w.insert), Attributes: w.now.object()})
	case w.step.Delete > 0:
		w.out.ops = append(w.out.ops, w.step)
	case w.step.Retain > 0:
		w.step.Attributes = w.changed.object()
		w.out.ops = append(w.out.ops, w.step)
	}
	w.step, w.insert = DeltaOp{}, w.insert[:0]
}
