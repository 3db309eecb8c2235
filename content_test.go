package soma_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/soma-sdk/soma"
	"github.com/soma-sdk/soma/internal/somatest"
	"github.com/soma-sdk/soma/internal/yjs"
)

func view(t *testing.T, db *soma.DB, space soma.SpaceID, doc string, fn func(*soma.ViewTx)) {
	t.Helper()
	err := db.Documents().View(t.Context(), space, doc, func(tx *soma.ViewTx) error { fn(tx); return nil })
	if err != nil {
		t.Fatalf("View(%q) = %v", doc, err)
	}
}

// wantJSON looks at the document "page".
func wantJSON(t *testing.T, db *soma.DB, space soma.SpaceID, want string) {
	t.Helper()
	body, err := db.Documents().JSON(t.Context(), space, "page")
	if err != nil || !sameJSON(body, []byte(want)) {
		t.Errorf("JSON = %s, %v, want %s", body, err, want)
	}
}

func wantValue(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s = %#v, want %#v", what, got, want)
	}
}

// object makes an Object of keys and values in turn.
func object(pairs ...any) soma.Object {
	o := soma.Object{}
	for i := 0; i < len(pairs); i += 2 {
		o = append(o, soma.Property{Key: pairs[i].(string), Value: pairs[i+1]})
	}
	return o
}

func TestText(t *testing.T) {
	t.Parallel()
	db := somatest.Open(t)
	space := newSpace(t, db, "space")
	bold := object("bold", true)
	edit(t, db, space, "page", func(tx *soma.EditTx) error {
		text := tx.Text("text")
		err := errors.Join(
			text.Insert(0, "Hello", nil),
			text.Insert(5, " world", bold),
			text.Insert(11, "!", object()),
			text.Format(0, 1, object("italic", true, "size", 3)),
			text.InsertEmbed(5, map[string]any{"image": "a.png"}, nil),
			text.InsertEmbed(0, soma.NewMap(object("k", "v")), nil),
			text.SetAttribute("lang", "en"),
			text.SetAttribute("gone", 1),
			text.RemoveAttribute("gone"),
			text.Delete(9, 3),
		)
		wantValue(t, "String", text.String(), "Hello wd!")
		return err
	})
	view(t, db, space, "page", func(tx *soma.ViewTx) {
		text := tx.Text("text")
		delta := text.Delta()
		if m, ok := delta[0].Insert.(soma.MapReader); !ok || m.Len() != 1 || m.Err() != nil {
			t.Errorf("the first insert is %v", delta[0])
		}
		wantValue(t, "Delta", delta[1:], []soma.DeltaOp{
			{Insert: "H", Attributes: object("italic", true, "size", 3.0)},
			{Insert: "ello"},
			{Insert: object("image", "a.png")},
			{Insert: " wd", Attributes: bold},
			{Insert: "!"},
		})
		wantValue(t, "Len", text.Len(), 11)
		wantValue(t, "Attributes", text.Attributes(), object("lang", "en"))
		v, ok := text.Attribute("lang")
		wantValue(t, "Attribute(lang)", []any{v, ok}, []any{"en", true})
		v, ok = text.Attribute("gone")
		wantValue(t, "Attribute(gone)", []any{v, ok}, []any{nil, false})
	})
	edit(t, db, space, "page", func(tx *soma.EditTx) error {
		return tx.Text("text").ApplyDelta([]soma.DeltaOp{
			{Delete: 1},
			{Retain: 5, Attributes: object("italic", nil, "size", nil)},
			{Insert: "new ", Attributes: bold},
			{Insert: soma.NewText("nested")},
		})
	})
	view(t, db, space, "page", func(tx *soma.ViewTx) {
		text := tx.Text("text")
		wantValue(t, "String", text.String(), "Hellonew  wd!")
		nested := ""
		for _, op := range text.Delta() {
			if n, ok := op.Insert.(soma.TextReader); ok {
				nested = n.String()
			}
		}
		wantValue(t, "nested text", nested, "nested")
	})
}

// TestValues writes each kind of value and reads it back.
func TestValues(t *testing.T) {
	t.Parallel()
	db := somatest.Open(t)
	space := newSpace(t, db, "space")
	values := []struct{ in, out any }{
		{nil, nil},
		{true, true},
		{1, 1.0},
		{int8(-1), -1.0},
		{uint64(1<<53 - 1), float64(1<<53 - 1)},
		{int64(-(1<<53 - 1)), -float64(1<<53 - 1)},
		{float32(0.5), 0.5},
		{0.1, 0.1},
		{math.Inf(1), math.Inf(1)},
		{"", ""},
		{"text \U0001F600", "text \U0001F600"},
		{[]byte{0, 255}, []byte{0, 255}},
		{[]any{1, "a", nil, []any{}}, []any{1.0, "a", nil, []any{}}},
		{object("b", 1, "a", 2, "7", 3), object("7", 3.0, "b", 1.0, "a", 2.0)},
		{map[string]any{"b": 1, "a": []byte{1}}, object("a", []byte{1}, "b", 1.0)},
		{soma.Subdoc{GUID: "guid", Options: object("meta", 1)}, soma.Subdoc{GUID: "guid", Options: object("meta", 1.0)}},
		{soma.BigInt(math.MinInt64), soma.BigInt(math.MinInt64)},
		{soma.Undefined{}, soma.Undefined{}},
	}
	const notInLists = 2
	edit(t, db, space, "page", func(tx *soma.EditTx) error {
		for i, v := range values {
			if i < len(values)-notInLists {
				if err := tx.Array("array").Push(v.in); err != nil {
					return fmt.Errorf("push %v: %w", v.in, err)
				}
			}
			if err := tx.Map("map").Set(fmt.Sprint(i), v.in); err != nil {
				return fmt.Errorf("set %v: %w", v.in, err)
			}
		}
		return nil
	})
	view(t, db, space, "page", func(tx *soma.ViewTx) {
		array, m := tx.Array("array"), tx.Map("map")
		wantValue(t, "Len", array.Len(), len(values)-notInLists)
		wantValue(t, "Len", m.Len(), len(values))
		all, entries := array.Values(), m.Entries()
		for i, v := range values {
			key := fmt.Sprint(i)
			if i < len(all) {
				got, err := array.Get(i)
				wantValue(t, "Get", []any{got, err}, []any{v.out, nil})
				wantValue(t, "Values", all[i], v.out)
			}
			got, ok := m.Get(key)
			wantValue(t, "Get", []any{got, ok}, []any{v.out, true})
			got, ok = entries.Get(key)
			wantValue(t, "Entries", []any{got, ok}, []any{v.out, true})
		}
		wantValue(t, "Keys", len(m.Keys()), len(values))
	})
	edit(t, db, space, "page", func(tx *soma.EditTx) error {
		array, m := tx.Array("array"), tx.Map("map")
		return errors.Join(array.Delete(2, array.Len()-2), array.Insert(1, "between", 2), m.Clear(), m.Set("only", 1), m.Set("only", 2), m.Set("no", 0), m.Delete("no"))
	})
	wantJSON(t, db, space, `{"array":[null,"between",2,true],"map":{"only":2}}`)
}

func TestXML(t *testing.T) {
	t.Parallel()
	db := somatest.Open(t)
	space := newSpace(t, db, "space")
	edit(t, db, space, "page", func(tx *soma.EditTx) error {
		root := tx.XMLFragment("prosemirror")
		title, p, hook := soma.NewXMLElement("heading"), soma.NewXMLElement("paragraph"), soma.NewXMLHook("hook")
		err := errors.Join(
			title.Push(soma.NewXMLText("Title")),
			root.Push(p, hook),
			root.Insert(0, title),
			title.SetAttribute("level", "1"),
			p.SetAttribute("gone", "1"),
			p.RemoveAttribute("gone"),
			hook.Set("key", "value"),
		)
		body := soma.NewXMLText("some text")
		return errors.Join(err, p.Push(body), body.Format(5, 4, object("b", object())),
			root.InsertAfter(title, soma.NewXMLElement("hr")), root.InsertAfter(nil, soma.NewXMLElement("first")), root.Push(soma.NewXMLElement("last")), root.Delete(5, 1),
			tx.XMLElement("element").Push(soma.NewXMLText("x")), tx.XMLElement("element").SetAttribute("a", "b"), tx.XMLText("xmltext").Insert(0, "y", nil))
	})
	view(t, db, space, "page", func(tx *soma.ViewTx) {
		root := tx.XMLFragment("prosemirror")
		markup, err := root.Markup()
		const want = `<first></first><heading level="1">Title</heading><hr></hr><paragraph>some <b>text</b></paragraph>[object Object]`
		wantValue(t, "Markup", []any{markup, err}, []any{want, nil})
		children := root.Children()
		wantValue(t, "Len", root.Len(), len(children))
		heading := children[1].(soma.XMLElementReader)
		level, ok := heading.Attribute("level")
		wantValue(t, "heading", []any{heading.NodeName(), level, ok, heading.Attributes()}, []any{"heading", "1", true, object("level", "1")})
		text, err := heading.Get(0)
		if err != nil || text.(soma.XMLTextReader).String() != "Title" {
			t.Errorf("Get(0) = %v, %v", text, err)
		}
		hook := children[4].(soma.XMLHookReader)
		value, ok := hook.Get("key")
		wantValue(t, "hook", []any{hook.HookName(), value, ok}, []any{"hook", "value", true})
		markup, err = children[3].(soma.XMLElementReader).Children()[0].(soma.XMLTextReader).Markup()
		wantValue(t, "Markup", []any{markup, err}, []any{"some <b>text</b>", nil})
		markup, err = tx.XMLElement("element").Markup()
		wantValue(t, "Markup", []any{markup, err}, []any{`<undefined a="b">x</undefined>`, nil})
		wantValue(t, "NodeName", tx.XMLElement("element").NodeName(), "UNDEFINED")
		wantValue(t, "String", tx.XMLText("xmltext").String(), "y")
	})
}

// Free-standing content is filled, inserted, and goes on as what was inserted.
func TestFreeStandingContent(t *testing.T) {
	t.Parallel()
	db := somatest.Open(t)
	space := newSpace(t, db, "space")
	var inner soma.Map
	edit(t, db, space, "page", func(tx *soma.EditTx) error {
		inner = soma.NewMap(object("a", 1))
		list := soma.NewArray("x", inner)
		err := errors.Join(inner.Set("b", 2), list.Insert(0, "first"), list.Delete(1, 1))
		if _, ok := inner.Get("a"); ok || list.Len() != 2 || list.Err() != nil {
			t.Error("free-standing content is read before it is inserted")
		}
		err = errors.Join(err, tx.Map("map").Set("list", list), inner.Set("c", soma.NewText("text")), list.Push(soma.NewXMLFragment()))
		if v, ok := inner.Get("a"); v != 1.0 || !ok {
			t.Errorf("Get = %v, %t", v, ok)
		}
		for _, again := range []error{
			tx.Map("map").Set("again", list), tx.Array("array").Push(inner), list.Push(list), tx.Array("array").Push(tx.Map("map")),
			tx.Text("text").InsertEmbed(0, inner, nil), tx.Text("text").ApplyDelta([]soma.DeltaOp{{Insert: list}}),
			soma.NewArray(inner).Err(), tx.Array("array").Push("half", soma.NewText("half"), inner),
		} {
			if !errors.Is(again, soma.ErrTypeIntegrated) {
				t.Errorf("inserting content again = %v", again)
			}
		}
		return err
	})
	if err := inner.Set("late", 1); !errors.Is(err, soma.ErrTxClosed) {
		t.Errorf("Set after the end = %v", err)
	}
	const want = `{"map":{"list":["first",{"a":1,"b":2,"c":"text"},""]}}`
	wantJSON(t, db, space, want)

	// What is wrong with its arguments shows where it is used.
	text, self := soma.NewText("\xff"), soma.NewArray()
	for what, err := range map[string]error{
		"NewText":       text.Err(),
		"Insert":        text.Insert(0, "x", nil),
		"NewArray":      soma.NewArray(1, make(chan int)).Err(),
		"NewMap":        soma.NewMap(object("a", 1, "b", int64(1<<60))).Err(),
		"NewXMLText":    soma.NewXMLText("\xff").Err(),
		"NewXMLElement": soma.NewXMLElement("\xff").Err(),
		"NewXMLHook":    soma.NewXMLHook("\xff").Err(),
	} {
		if !errors.Is(err, soma.ErrInvalidValue) {
			t.Errorf("%s with a bad argument = %v", what, err)
		}
	}
	if err := self.Push(self); !errors.Is(err, soma.ErrTypeIntegrated) {
		t.Errorf("an array in itself = %v", err)
	}
	edit(t, db, space, "page", func(tx *soma.EditTx) error {
		if err := tx.Map("map").Set("bad", text); !errors.Is(err, soma.ErrInvalidValue) {
			t.Errorf("Set of bad content = %v", err)
		}
		// The handles that are read edit, too.
		list, _ := tx.Map("map").Get("list")
		nested, err := list.(soma.Array).Get(1)
		if err != nil {
			return err
		}
		c, _ := nested.(soma.Map).Get("c")
		return errors.Join(c.(soma.Text).Insert(4, "!", nil), nested.(soma.Map).Delete("a"), list.(soma.Array).Delete(2, 1))
	})
	wantJSON(t, db, space, `{"map":{"list":["first",{"b":2,"c":"text!"}]}}`)

	// What a failed edit took is used up.
	used := soma.NewText("used")
	_, err := db.Documents().Edit(t.Context(), space, "page", func(tx *soma.EditTx) error {
		return errors.Join(tx.Map("map").Set("used", used), errFailed)
	})
	if !errors.Is(err, errFailed) || !errors.Is(used.Insert(0, "x", nil), soma.ErrTxClosed) {
		t.Errorf("Edit = %v", err)
	}
	edit(t, db, space, "page", func(tx *soma.EditTx) error {
		if err := tx.Map("map").Set("used", used); !errors.Is(err, soma.ErrTypeIntegrated) {
			t.Errorf("Set of used content = %v", err)
		}
		return nil
	})
}

// An operation that fails changes nothing, and says why.
func TestContentErrors(t *testing.T) {
	t.Parallel()
	db := somatest.Open(t)
	space := newSpace(t, db, "space")
	fill := func(tx *soma.EditTx) error {
		return errors.Join(tx.Text("text").Insert(0, "text", nil), tx.Array("array").Push(1, 2), tx.Map("map").Set("a", 1),
			tx.XMLFragment("xml").Push(soma.NewXMLElement("p")))
	}
	edit(t, db, space, "page", fill)
	deep := any("x")
	for range 5000 {
		deep = []any{deep}
	}
	for _, c := range []struct {
		name string
		do   func(tx *soma.EditTx) error
		want error
	}{
		{"insert before the start", func(tx *soma.EditTx) error { return tx.Text("text").Insert(-1, "x", nil) }, soma.ErrOutOfRange},
		{"root that is not UTF-8", func(tx *soma.EditTx) error { return tx.Text("\xff").Insert(0, "x", nil) }, soma.ErrInvalidValue},
		{"root with half a pair", func(tx *soma.EditTx) error { return tx.Map("\xed\xa0\xbd").Set("a", 1) }, soma.ErrInvalidValue},
		{"insert behind the end", func(tx *soma.EditTx) error { return tx.Text("text").Insert(5, "x", nil) }, soma.ErrOutOfRange},
		{"insert far behind the end", func(tx *soma.EditTx) error { return tx.Text("text").Insert(math.MaxInt, "x", nil) }, soma.ErrOutOfRange},
		{"insert of no UTF-8", func(tx *soma.EditTx) error { return tx.Text("text").Insert(0, "x\xff", nil) }, soma.ErrInvalidValue},
		{"insert with bad attributes", func(tx *soma.EditTx) error { return tx.Text("text").Insert(0, "x", object("a", make(chan int))) }, soma.ErrInvalidValue},
		{"embed behind the end", func(tx *soma.EditTx) error { return tx.Text("text").InsertEmbed(5, 1, nil) }, soma.ErrOutOfRange},
		{"embed before the start", func(tx *soma.EditTx) error { return tx.Text("text").InsertEmbed(-5, 1, nil) }, soma.ErrOutOfRange},
		{"embed of nothing", func(tx *soma.EditTx) error { return tx.Text("text").InsertEmbed(0, nil, nil) }, soma.ErrInvalidValue},
		{"embed of what is no value", func(tx *soma.EditTx) error { return tx.Text("text").InsertEmbed(0, struct{}{}, nil) }, soma.ErrInvalidValue},
		{"format behind the end", func(tx *soma.EditTx) error { return tx.Text("text").Format(3, 2, object("b", 1)) }, soma.ErrOutOfRange},
		{"format of less than nothing", func(tx *soma.EditTx) error { return tx.Text("text").Format(3, -1, object("b", 1)) }, soma.ErrOutOfRange},
		{"format before the start", func(tx *soma.EditTx) error { return tx.Text("text").Format(-3, 1, object("b", 1)) }, soma.ErrOutOfRange},
		{"delete behind the end", func(tx *soma.EditTx) error { return tx.Text("text").Delete(0, 5) }, soma.ErrOutOfRange},
		{"delete of too much", func(tx *soma.EditTx) error { return tx.Text("text").Delete(1, math.MaxInt) }, soma.ErrOutOfRange},
		{"delete of less than nothing", func(tx *soma.EditTx) error { return tx.Text("text").Delete(0, -1) }, soma.ErrOutOfRange},
		{"delta with negative numbers", func(tx *soma.EditTx) error { return tx.Text("text").ApplyDelta([]soma.DeltaOp{{Retain: -1}}) }, soma.ErrOutOfRange},
		{"delta with negative numbers", func(tx *soma.EditTx) error { return tx.Text("text").ApplyDelta([]soma.DeltaOp{{Delete: -1}}) }, soma.ErrOutOfRange},
		{"delta that deletes too much", func(tx *soma.EditTx) error {
			return tx.Text("text").ApplyDelta([]soma.DeltaOp{{Insert: "x"}, {Delete: 9}})
		}, soma.ErrOutOfRange},
		{"delta that does two things", func(tx *soma.EditTx) error {
			return tx.Text("text").ApplyDelta([]soma.DeltaOp{{Insert: "x"}, {Insert: "y", Retain: 1}})
		}, soma.ErrInvalidValue},
		{"array insert behind the end", func(tx *soma.EditTx) error { return tx.Array("array").Insert(3, 1) }, soma.ErrOutOfRange},
		{"array insert before the start", func(tx *soma.EditTx) error { return tx.Array("array").Insert(-1, 1) }, soma.ErrOutOfRange},
		{"array delete behind the end", func(tx *soma.EditTx) error { return tx.Array("array").Delete(1, 2) }, soma.ErrOutOfRange},
		{"array get behind the end", func(tx *soma.EditTx) error { return justErr(tx.Array("array").Get(2)) }, soma.ErrOutOfRange},
		{"array get before the start", func(tx *soma.EditTx) error { return justErr(tx.Array("array").Get(-1)) }, soma.ErrOutOfRange},
		{"get from an array that is not there", func(tx *soma.EditTx) error { return justErr(tx.Array("none").Get(0)) }, soma.ErrOutOfRange},
		{"undefined in a list", func(tx *soma.EditTx) error { return tx.Array("array").Push(1, soma.Undefined{}) }, soma.ErrInvalidValue},
		{"BigInt in a list", func(tx *soma.EditTx) error { return tx.Array("array").Push(soma.BigInt(1)) }, soma.ErrInvalidValue},
		{"integer that is not exact", func(tx *soma.EditTx) error { return tx.Map("map").Set("b", int64(1<<53)) }, soma.ErrInvalidValue},
		{"value nested too deep", func(tx *soma.EditTx) error { return tx.Map("map").Set("b", deep) }, soma.ErrInvalidValue},
		{"content inside of a value", func(tx *soma.EditTx) error { return tx.Map("map").Set("b", []any{soma.NewText("x")}) }, soma.ErrInvalidValue},
		{"key that is no UTF-8", func(tx *soma.EditTx) error { return tx.Map("map").Set("\xff", 1) }, soma.ErrInvalidValue},
		{"text among XML nodes", func(tx *soma.EditTx) error { return tx.XMLFragment("xml").Push(soma.NewText("x")) }, soma.ErrInvalidValue},
		{"no content among XML nodes", func(tx *soma.EditTx) error { return tx.XMLFragment("xml").Push(nil) }, soma.ErrInvalidValue},
		{"behind a node of elsewhere", func(tx *soma.EditTx) error {
			return tx.XMLFragment("xml").InsertAfter(soma.NewXMLElement("x"), soma.NewXMLElement("y"))
		}, soma.ErrOutOfRange},
		{"behind a root", func(tx *soma.EditTx) error {
			return tx.XMLFragment("xml").InsertAfter(tx.XMLFragment("xml"), soma.NewXMLElement("y"))
		}, soma.ErrOutOfRange},
		{"text as an array", func(tx *soma.EditTx) error { return tx.Array("text").Push(1) }, soma.ErrWrongKind},
		{"text as a map", func(tx *soma.EditTx) error { return tx.Map("text").Set("a", 1) }, soma.ErrWrongKind},
		{"text as XML", func(tx *soma.EditTx) error { return tx.XMLFragment("text").Err() }, soma.ErrWrongKind},
		{"array as a text", func(tx *soma.EditTx) error { return tx.Text("array").Insert(0, "x", nil) }, soma.ErrWrongKind},
		{"map as an array", func(tx *soma.EditTx) error { return tx.Array("map").Err() }, soma.ErrWrongKind},
		{"XML as a map", func(tx *soma.EditTx) error { return tx.Map("xml").Clear() }, soma.ErrWrongKind},
		{"get from a text as an array", func(tx *soma.EditTx) error { return justErr(tx.Array("text").Get(0)) }, soma.ErrWrongKind},
		{"JSON of a text as a map", func(tx *soma.EditTx) error { return justErr(tx.Map("text").JSON()) }, soma.ErrWrongKind},
		{"markup of a text", func(tx *soma.EditTx) error { return justErr(tx.XMLElement("text").Markup()) }, soma.ErrWrongKind},
		{"offset in an array", func(tx *soma.EditTx) error { return justErr(tx.Text("array").IndexOfByte(0)) }, soma.ErrWrongKind},
	} {
		before, err := db.Documents().Get(t.Context(), space, "page")
		if err != nil {
			t.Fatal(err)
		}
		edit(t, db, space, "page", func(tx *soma.EditTx) error {
			if err := c.do(tx); !errors.Is(err, c.want) {
				t.Errorf("%s = %v, want %v", c.name, err, c.want)
			}
			return nil
		})
		wantSame(t, db, before, c.name)
	}
	wantJSON(t, db, space, `{"text":"text","array":[1,2],"map":{"a":1},"xml":"<p></p>"}`)
}

// What was deleted is of no use any more, also inside of the function that deletes it.
func TestDeletedContent(t *testing.T) {
	t.Parallel()
	db := somatest.Open(t)
	space := newSpace(t, db, "space")
	edit(t, db, space, "page", func(tx *soma.EditTx) error {
		outer, inner := soma.NewMap(nil), soma.NewText("inner")
		err := errors.Join(outer.Set("inner", inner), tx.Map("map").Set("outer", outer), tx.Map("map").Delete("outer"))
		for what, err := range map[string]error{
			"outer.Set": outer.Set("a", 1), "outer.Err": outer.Err(), "inner.Insert": inner.Insert(0, "x", nil), "inner.Err": inner.Err(),
			"inner.JSON": justErr(inner.JSON()), "inner.RuneOfIndex": justErr(inner.RuneOfIndex(0)),
		} {
			if !errors.Is(err, soma.ErrTypeDeleted) {
				t.Errorf("%s = %v, want ErrTypeDeleted", what, err)
			}
		}
		if inner.String() != "" || inner.Len() != 0 || outer.Entries() != nil {
			t.Error("deleted content is read")
		}
		return err
	})
	wantJSON(t, db, space, `{"map":{}}`)
}

// What kind a root is follows from what it holds, not from who asked for it before.
func TestKindsOfRoots(t *testing.T) {
	t.Parallel()
	db := somatest.Open(t)
	space := newSpace(t, db, "space")
	edit(t, db, space, "page", func(tx *soma.EditTx) error {
		array, m := tx.Array("a"), tx.Map("a")
		if err := errors.Join(array.Err(), m.Err(), array.Push(1)); err != nil {
			return err
		}
		if err := m.Set("k", 1); !errors.Is(err, soma.ErrWrongKind) {
			t.Errorf("Set in an array = %v", err)
		}
		return errors.Join(array.Delete(0, 1), m.Set("k", 1), tx.Text("content").InsertEmbed(0, soma.NewXMLText("nested"), nil))
	})
	wantJSON(t, db, space, `{"a":{"k":1},"content":"nested"}`)
	for _, reopened := range []bool{false, true} {
		view(t, db, space, "page", func(tx *soma.ViewTx) {
			// A text that begins with XML can be all of these.
			for kind, err := range map[string]error{
				"text": tx.Text("content").Err(), "XML text": tx.XMLText("content").Err(), "array": tx.Array("content").Err(),
				"fragment": tx.XMLFragment("content").Err(), "element": tx.XMLElement("content").Err(), "map": tx.Map("a").Err(),
				"missing": tx.Text("missing").Err(),
			} {
				if err != nil {
					t.Errorf("%s: %v", kind, err)
				}
			}
			for kind, err := range map[string]error{"map": tx.Map("content").Err(), "array": tx.Array("a").Err(), "fragment": tx.XMLFragment("a").Err()} {
				if !errors.Is(err, soma.ErrWrongKind) {
					t.Errorf("%s: %v, reopened: %t", kind, err, reopened)
				}
			}
			if tx.Map("content").Len() != 0 || tx.Array("a").Values() != nil || tx.Text("missing").Delta() != nil {
				t.Error("roots of another kind are read")
			}
			body, err := tx.Array("missing").JSON()
			wantValue(t, "JSON", []any{string(body), err}, []any{"[]", nil})
			if roots := tx.Roots(); len(roots) != 2 {
				t.Errorf("Roots() = %q", roots)
			}
		})
		wantJSON(t, db, space, `{"a":{"k":1},"content":"nested"}`)
	}
}

// A view gives nothing that could change the document.
func TestViewsOnlyRead(t *testing.T) {
	t.Parallel()
	db := somatest.Open(t)
	space := newSpace(t, db, "space")
	edit(t, db, space, "page", func(tx *soma.EditTx) error {
		return tx.Array("all").Push(soma.NewText(""), soma.NewArray(), soma.NewMap(nil), soma.NewXMLFragment(), soma.NewXMLElement("a"), soma.NewXMLText(""), soma.NewXMLHook("h"))
	})
	view(t, db, space, "page", func(tx *soma.ViewTx) {
		handles := append(tx.Array("all").Values(), tx.Text("t"), tx.Array("a"), tx.Map("m"), tx.XMLFragment("f"), tx.XMLElement("e"), tx.XMLText("x"))
		for _, h := range handles {
			switch h.(type) {
			case interface{ Set(string, any) error }, interface{ Delete(int, int) error }, interface{ SetAttribute(string, any) error }, interface{ Push(...any) error }:
				t.Errorf("%T writes", h)
			}
			if err := h.(soma.Content).Err(); err != nil {
				t.Errorf("Err() of %T = %v", h, err)
			}
		}
	})
	edit(t, db, space, "page", func(tx *soma.EditTx) error {
		for i, v := range tx.Array("all").Values() {
			ok := false
			switch i {
			case 0:
				_, ok = v.(soma.Text)
			case 1:
				_, ok = v.(soma.Array)
			case 2:
				_, ok = v.(soma.Map)
			case 3:
				_, ok = v.(soma.XMLFragment)
			case 4:
				_, ok = v.(soma.XMLElement)
			case 5:
				_, ok = v.(soma.XMLText)
			case 6:
				_, ok = v.(soma.XMLHook)
			}
			if !ok {
				t.Errorf("value %d is a %T", i, v)
			}
		}
		return nil
	})
}

// Handles that outlive their function are of no use, whoever uses them when.
func TestHandlesAfterTheEnd(t *testing.T) {
	t.Parallel()
	db := somatest.Open(t, soma.WithRelaxedDurability())
	space := newSpace(t, db, "space")
	edit(t, db, space, "page", func(tx *soma.EditTx) error {
		return errors.Join(tx.Text("text").Insert(0, "text", nil), tx.Array("array").Push(1, soma.NewMap(object("k", 1))), tx.XMLFragment("xml").Push(soma.NewXMLElement("p")))
	})
	var wg sync.WaitGroup
	var kept []func() error
	use := func(tx *soma.EditTx) {
		text, array, xml := tx.Text("text"), tx.Array("array"), tx.XMLFragment("xml")
		nested, err := array.Get(1)
		if err != nil {
			t.Error(err)
		}
		m := nested.(soma.Map)
		free := soma.NewText("free")
		all := func() error {
			_ = fmt.Sprint(text.String(), text.Len(), text.Delta(), text.Attributes(), array.Values(), array.Len(), m.Keys(), m.Entries(), xml.Children(), tx.Roots(), tx.Text("new").String())
			_, atErr := array.Get(0)
			_, jsonErr := m.JSON()
			_, markupErr := xml.Markup()
			_, offsetErr := text.IndexOfByte(0)
			for _, err := range []error{
				text.Err(), atErr, jsonErr, markupErr, offsetErr, text.Insert(0, "x", nil), text.Delete(0, 1), text.Format(0, 1, nil), text.InsertEmbed(0, 1, nil),
				text.ApplyDelta(nil), text.SetAttribute("a", 1), text.RemoveAttribute("a"), array.Push(1), array.Insert(0, 1), array.Delete(0, 1),
				m.Set("a", 1), m.Delete("a"), m.Clear(), xml.Push(soma.NewXMLElement("x")), xml.Delete(0, 1), xml.InsertAfter(nil), tx.Map("new").Set("a", 1), array.Push(free),
			} {
				if !errors.Is(err, soma.ErrTxClosed) {
					return fmt.Errorf("%w, want ErrTxClosed", err)
				}
			}
			return nil
		}
		wg.Go(func() { _ = all() }) // while the function ends
		kept = append(kept, all)
	}
	for range 20 {
		_, err := db.Documents().Edit(t.Context(), space, "page", func(tx *soma.EditTx) error { use(tx); return errFailed })
		if !errors.Is(err, errFailed) {
			t.Error(err)
		}
		edit(t, db, space, "page", func(tx *soma.EditTx) error {
			for _, all := range kept {
				if err := all(); err != nil {
					t.Error(err)
				}
			}
			return nil
		})
	}
	wg.Wait()
	wantJSON(t, db, space, `{"text":"text","array":[1,{"k":1}],"xml":"<p></p>"}`)
	if err := new(soma.EditTx).Text("text").Insert(0, "x", nil); !errors.Is(err, soma.ErrTxClosed) {
		t.Errorf("Insert in an EditTx of nobody = %v", err)
	}
	if roots := new(soma.ViewTx).Roots(); roots != nil {
		t.Errorf("Roots of a ViewTx of nobody = %q", roots)
	}
}

// Several goroutines may use the handles of one function.
func TestHandlesOfSeveralGoroutines(t *testing.T) {
	t.Parallel()
	db := somatest.Open(t)
	space := newSpace(t, db, "space")
	edit(t, db, space, "page", func(tx *soma.EditTx) error {
		var wg sync.WaitGroup
		text, array := tx.Text("text"), tx.Array("array")
		for range 8 {
			wg.Go(func() {
				for i := range 50 {
					if err := errors.Join(text.Insert(0, "x", nil), array.Push(i), tx.Map("map").Set(fmt.Sprint(i), text.Len())); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		return nil
	})
	view(t, db, space, "page", func(tx *soma.ViewTx) {
		wantValue(t, "lengths", []int{tx.Text("text").Len(), tx.Array("array").Len(), tx.Map("map").Len()}, []int{400, 400, 50})
	})
}

// Neither what goes in nor what comes out is shared with the document.
func TestValuesAreCopied(t *testing.T) {
	t.Parallel()
	db := somatest.Open(t)
	space := newSpace(t, db, "space")
	bytes, list, attributes := []byte("bytes"), []any{"a", object("k", []byte("in"))}, object("style", object("color", "red"))
	spoil := func(v any) {
		switch v := v.(type) {
		case []byte:
			v[0] = '!'
		case []any:
			v[1].(soma.Object)[0].Value.([]byte)[0] = '!'
			v[1].(soma.Object)[0].Key = "!"
			v[0] = "!"
		}
	}
	edit(t, db, space, "page", func(tx *soma.EditTx) error {
		err := errors.Join(tx.Array("array").Push(bytes, list), tx.Text("text").Insert(0, "x", attributes), tx.Map("map").Set("list", list))
		spoil(bytes)
		spoil(list)
		attributes[0].Value.(soma.Object)[0].Value = "!"
		return err
	})
	for range 2 {
		view(t, db, space, "page", func(tx *soma.ViewTx) {
			values, value, ok := tx.Array("array").Values(), any(nil), false
			if value, ok = tx.Map("map").Get("list"); !ok {
				t.Fatal("no value")
			}
			delta := tx.Text("text").Delta()
			wantValue(t, "bytes", values[0], []byte("bytes"))
			for _, v := range []any{values[1], value} {
				wantValue(t, "list", v, []any{"a", object("k", []byte("in"))})
			}
			wantValue(t, "attributes", delta[0].Attributes, object("style", object("color", "red")))
			spoil(values[0])
			spoil(values[1])
			spoil(value)
			delta[0].Attributes[0].Value.(soma.Object)[0].Value = "!"
		})
	}
}

func TestOffsets(t *testing.T) {
	t.Parallel()
	db := somatest.Open(t)
	space := newSpace(t, db, "space")
	wantValue(t, "UTF16Len", soma.UTF16Len("aä\U0001F600\uFFFDz"), 6)
	wantValue(t, "UTF16Len of ASCII around more", soma.UTF16Len("abc\U0001F600defä"), 9)
	wantValue(t, "UTF16Len of half a pair", soma.UTF16Len("\xed\xa0\xbdx"), 2)
	edit(t, db, space, "page", func(tx *soma.EditTx) error {
		text := tx.Text("text")
		return errors.Join(text.Insert(0, "aä\U0001F600z", nil), text.InsertEmbed(2, 1, nil), text.InsertEmbed(2, 2, nil), text.InsertEmbed(0, 3, nil), text.InsertEmbed(8, 4, nil))
	})
	view(t, db, space, "page", func(tx *soma.ViewTx) {
		text := tx.Text("text") // ³aä²¹😀z⁴
		for _, c := range []struct{ index, byte, rune int }{
			{0, 0, 0}, {2, 1, 1}, {3, 3, 2}, {7, 7, 3}, {8, 8, 4},
		} {
			for offset, convert := range map[int]func(int) (int, error){c.byte: text.IndexOfByte, c.rune + 1000: nil} {
				if convert == nil {
					offset, convert = offset-1000, text.IndexOfRune
				}
				if got, err := convert(offset); got != c.index || err != nil {
					t.Errorf("index of %d = %d, %v, want %d", offset, got, err, c.index)
				}
			}
		}
		for index, want := range []struct{ byte, rune int }{{0, 0}, {0, 0}, {1, 1}, {3, 2}, {3, 2}, {3, 2}, {-1, -1}, {7, 3}, {8, 4}, {8, 4}, {-1, -1}} {
			b, errB := text.ByteOfIndex(index)
			r, errR := text.RuneOfIndex(index)
			if want.byte < 0 {
				if !errors.Is(errB, soma.ErrOutOfRange) || !errors.Is(errR, soma.ErrOutOfRange) {
					t.Errorf("offsets of index %d = %v, %v", index, errB, errR)
				}
			} else if b != want.byte || r != want.rune || errB != nil || errR != nil {
				t.Errorf("offsets of index %d = %d, %d, %v, %v, want %v", index, b, r, errB, errR, want)
			}
		}
		for _, offset := range []int{-1, 2, 4, 5, 6, 9} {
			if got, err := text.IndexOfByte(offset); !errors.Is(err, soma.ErrOutOfRange) {
				t.Errorf("IndexOfByte(%d) = %d, %v", offset, got, err)
			}
		}
		for _, err := range []error{justErr(text.IndexOfRune(-1)), justErr(text.IndexOfRune(5)), justErr(text.ByteOfIndex(-1)), justErr(tx.Text("none").IndexOfByte(1))} {
			if !errors.Is(err, soma.ErrOutOfRange) {
				t.Errorf("offset out of range: %v", err)
			}
		}
		zero, err := tx.Text("none").IndexOfByte(0)
		wantValue(t, "offset in nothing", []any{zero, err}, []any{0, nil})
	})

	// Inserting at any byte offset of a Go string is what it is in Go.
	r := rand.New(rand.NewPCG(1, 2))
	want := ""
	edit(t, db, space, "random", func(tx *soma.EditTx) error {
		text := tx.Text("text")
		for range 200 {
			at := r.IntN(len(want) + 1)
			for !utf8.RuneStart((want + "x")[at]) {
				at--
			}
			piece := []string{"a", "ß", "€", "\U0001F600", "e\u0301", "\x00"}[r.IntN(6)]
			index, err := text.IndexOfByte(at)
			if err != nil {
				return err
			}
			if back, err := text.ByteOfIndex(index); back != at || err != nil {
				t.Fatalf("ByteOfIndex(%d) = %d, %v, want %d", index, back, err, at)
			}
			runes := utf8.RuneCountInString(want[:at])
			if same, err := text.IndexOfRune(runes); same != index || err != nil {
				t.Fatalf("IndexOfRune(%d) = %d, %v, want %d", runes, same, err, index)
			}
			if err := text.Insert(index, piece, nil); err != nil {
				return err
			}
			want = want[:at] + piece + want[at:]
		}
		return nil
	})
	if text := rootText(t, db, space, "random"); text != want {
		t.Errorf("text = %q, want %q", text, want)
	}
}

// TestEditsOfRecordedDocuments reads and edits what the real yjs wrote, and what no editor
// would, at random, by every kind of handle.
func TestEditsOfRecordedDocuments(t *testing.T) {
	t.Parallel()
	db := somatest.Open(t, soma.WithRelaxedDurability())
	space := newSpace(t, db, "space")
	r := rand.New(rand.NewPCG(3, 4))
	sessions := fixtures(t, 12)
	if len(sessions) < 10 {
		t.Fatalf("only %d recorded sessions", len(sessions))
	}
	writes := 0
	for i, session := range sessions {
		doc := fmt.Sprint("doc ", i)
		for _, update := range session.Updates {
			if _, err := db.Documents().Upsert(t.Context(), space, doc, update); err != nil {
				t.Fatalf("%s: Upsert = %v", sessionName(session), err)
			}
		}
		for range 5 {
			_, err := db.Documents().Edit(t.Context(), space, doc, func(tx *soma.EditTx) error {
				for _, root := range append(tx.Roots(), "new") {
					for _, h := range []soma.Content{tx.Text(root), tx.Array(root), tx.Map(root), tx.XMLFragment(root), tx.XMLElement(root), tx.XMLText(root)} {
						if scribble(r, h, 3) {
							writes++
						}
					}
				}
				return nil
			})
			if err != nil && !errors.Is(err, soma.ErrTooLarge) {
				t.Fatalf("%s: Edit = %v", sessionName(session), err)
			}
		}
		got, err := db.Documents().Get(t.Context(), space, doc)
		if errors.Is(err, soma.ErrNotFound) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		view(t, db, space, doc, func(tx *soma.ViewTx) {
			for _, root := range tx.Roots() {
				_ = justErr(tx.Map(root).JSON())
			}
		})
		if again, err := yjs.Compact(got.Update); err != nil || string(again) != string(got.Update) {
			t.Errorf("%s: the state is not canonical: %v", sessionName(session), err)
		}
	}
	if writes < len(sessions) {
		t.Errorf("only %d writes worked", writes)
	}
}

// scribble reads a handle and all that is in it, and writes something. It reports whether
// that worked.
func scribble(r *rand.Rand, h any, depth int) (wrote bool) {
	if c, ok := h.(soma.Content); !ok || depth == 0 || c.Err() != nil {
		return false
	}
	at := func(n int) int { return r.IntN(n+3) - 1 } // out of range now and then
	var inside []any
	var err error
	switch h := h.(type) {
	case soma.XMLText:
		_, _ = h.Markup()
		err = errors.Join(h.Insert(at(h.Len()), "x", nil), h.Delete(at(h.Len()), 1))
	case soma.Text:
		for _, op := range h.Delta() {
			inside = append(inside, op.Insert)
		}
		_, _ = h.RuneOfIndex(at(h.Len()))
		err = errors.Join(h.Insert(at(h.Len()), "\U0001F600", nil), h.Format(at(h.Len()), 2, object("bold", true)), h.Delete(at(h.Len()), 1))
	case soma.Array:
		inside = h.Values()
		_, _ = h.Get(at(h.Len()))
		err = errors.Join(h.Insert(at(h.Len()), 1, soma.NewText("x")), h.Delete(at(h.Len()), 1))
	case soma.XMLElement:
		inside = h.Children()
		_, _ = h.Markup()
		err = errors.Join(h.SetAttribute("k", "v"), h.Insert(at(h.Len()), soma.NewXMLText("x")))
	case soma.XMLFragment:
		inside = h.Children()
		_, _ = h.Markup()
		err = errors.Join(h.Insert(at(h.Len()), soma.NewXMLElement("p")), h.Delete(at(h.Len()), 1))
	case soma.Map: // hooks too
		for _, e := range h.Entries() {
			inside = append(inside, e.Value)
		}
		err = errors.Join(h.Set(fmt.Sprint(r.IntN(3)), r.IntN(10)), h.Delete(fmt.Sprint(r.IntN(3))))
	}
	for _, v := range inside {
		wrote = scribble(r, v, depth-1) || wrote
	}
	return wrote || err == nil
}

// A document nested deeper than reading follows is an error, not a crash.
func TestDeepContent(t *testing.T) {
	t.Parallel()
	db := somatest.Open(t)
	space := newSpace(t, db, "space")
	for range 3 {
		edit(t, db, space, "page", func(tx *soma.EditTx) error {
			at := tx.Array("deep")
			for at.Len() > 0 {
				v, err := at.Get(0)
				if err != nil {
					return err
				}
				at = v.(soma.Array)
			}
			for range 2000 {
				next := soma.NewArray()
				if err := at.Push(next); err != nil {
					return err
				}
				at = next
			}
			return nil
		})
	}
	view(t, db, space, "page", func(tx *soma.ViewTx) {
		if body, err := tx.Array("deep").JSON(); !errors.Is(err, soma.ErrTooLarge) {
			t.Errorf("JSON = %d bytes, %v, want ErrTooLarge", len(body), err)
		}
		if n := len(tx.Array("deep").Values()); n != 1 {
			t.Errorf("%d values", n)
		}
	})
	if strings.Count(fmt.Sprint(db.Documents().JSON(t.Context(), space, "page")), "[") > 5000 {
		t.Error("JSON follows any depth")
	}
}
