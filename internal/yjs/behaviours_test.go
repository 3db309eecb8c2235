package yjs_test

import (
	"strings"
	"testing"

	"github.com/soma-sdk/soma/internal/yjs/yjstest"
)

// behaviourRoots are the roots that behaviours are about, by their kinds.
var behaviourRoots = []yjstest.Root{
	{Name: "array", Kind: yjstest.KindArray},
	{Name: "element", Kind: yjstest.KindXMLElement},
	{Name: "fragment", Kind: yjstest.KindXMLFragment},
	{Name: "map", Kind: yjstest.KindMap},
	{Name: "text", Kind: yjstest.KindText},
	{Name: "xmltext", Kind: yjstest.KindXMLText},
}

// behaviours are what the tests of yjs are about, in the operations of the suite. Each
// line is a transaction; want is the content of the root that the first operation is on,
// as real yjs has it (TestLiveBehaviours).
var behaviours = []struct{ name, transactions, want string }{
	{
		"a text grows and shrinks at both ends", `
		[{"op":"insert","p":["text"],"i":0,"s":"abc"}]
		[{"op":"delete","p":["text"],"i":0,"n":1}]
		[{"op":"delete","p":["text"],"i":1,"n":1}]
		[{"op":"insert","p":["text"],"i":0,"s":"z"},{"op":"delete","p":["text"],"i":1,"n":1}]
		`, `{"$":"text","d":[["z"]]}`,
	},
	{
		"inserted text has the formats of its place", `
		[{"op":"insert","p":["text"],"i":0,"s":"abc","a":[["bold",true]]}]
		[{"op":"delete","p":["text"],"i":0,"n":1}]
		[{"op":"insert","p":["text"],"i":1,"s":"yz"}]
		[{"op":"insert","p":["text"],"i":0,"s":"x","a":[]}]
		[{"op":"format","p":["text"],"i":1,"n":1,"a":[["bold",null]]}]
		`, `{"$":"text","d":[["xb"],["yzc",[["bold",true]]]]}`,
	},
	{
		"a format over several lines", `
		[{"op":"insert","p":["text"],"i":0,"s":"Test\nMulti-line\nFormatting"}]
		[{"op":"delta","p":["text"],"d":[{"retain":4,"attributes":[["bold",true]]},{"retain":1},{"retain":10,"attributes":[["bold",true]]},{"retain":1},{"retain":10,"attributes":[["bold",true]]}]}]
		`, `{"$":"text","d":[["Test",[["bold",true]]],["\n"],["Multi-line",[["bold",true]]],["\n"],["Formatting",[["bold",true]]]]}`,
	},
	{
		"lines are not merged by formats", `
		[{"op":"delta","p":["text"],"d":[{"insert":"Text"},{"insert":"\n","attributes":[["title",true]]},{"insert":"\nText"},{"insert":"\n","attributes":[["title",true]]}]}]
		`, `{"$":"text","d":[["Text"],["\n",[["title",true]]],["\nText"],["\n",[["title",true]]]]}`,
	},
	{
		"attributes survive what is deleted beside them", `
		[{"op":"delta","p":["text"],"d":[{"insert":"Text"},{"insert":"\n","attributes":[["title",true]]},{"insert":"\n"}]}]
		[{"op":"delta","p":["text"],"d":[{"retain":4},{"delete":1},{"retain":1,"attributes":[["title",true]]}]}]
		`, `{"$":"text","d":[["Text"],["\n",[["title",true]]]]}`,
	},
	{
		"formats go with the text that had them", `
		[{"op":"insert","p":["text"],"i":0,"s":"ab","a":[["bold",true]]}]
		[{"op":"delete","p":["text"],"i":0,"n":2}]
		[{"op":"insert","p":["text"],"i":0,"s":"plain"}]
		`, `{"$":"text","d":[["plain"]]}`,
	},
	{
		"formats go in the middle of a text", `
		[{"op":"insert","p":["text"],"i":0,"s":"1234"}]
		[{"op":"insert","p":["text"],"i":2,"s":"ab","a":[["bold",true]]}]
		[{"op":"delete","p":["text"],"i":2,"n":2}]
		[{"op":"insert","p":["text"],"i":2,"s":"x"}]
		`, `{"$":"text","d":[["12x34"]]}`,
	},
	{
		"a format that is in force is not set again", `
		[{"op":"delta","p":["text"],"d":[{"insert":"\n","attributes":[["PARAGRAPH_STYLES","normal"],["LIST_STYLES","bullet"]]},{"insert":"abc","attributes":[["PARAGRAPH_STYLES","normal"]]}]}]
		[{"op":"delta","p":["text"],"d":[{"retain":1,"attributes":[["LIST_STYLES","number"]]},{"retain":3,"attributes":[["PARAGRAPH_STYLES","normal"]]}]}]
		`, `{"$":"text","d":[["\n",[["LIST_STYLES","number"],["PARAGRAPH_STYLES","normal"]]],["abc",[["PARAGRAPH_STYLES","normal"]]]]}`,
	},
	{
		"a deleted range takes its formats along", `
		[{"op":"insert","p":["text"],"i":0,"s":"Attack ships on fire off the shoulder of Orion."}]
		[{"op":"format","p":["text"],"i":13,"n":7,"a":[["bold",true]]}]
		[{"op":"delete","p":["text"],"i":16,"n":4}]
		`, `{"$":"text","d":[["Attack ships "],["on ",[["bold",true]]],[" off the shoulder of Orion."]]}`,
	},
	{
		"an object as a format ends where it differs", `
		[{"op":"insert","p":["text"],"i":0,"s":"link","a":[["link",{"$":"object","v":[["href","a"]]}]]}]
		[{"op":"format","p":["text"],"i":1,"n":2,"a":[["link",{"$":"object","v":[["href","b"]]}]]}]
		[{"op":"format","p":["text"],"i":0,"n":4,"a":[["link",{"$":"object","v":[["href","a"]]}]]}]
		`, `{"$":"text","d":[["link",[["link",{"$":"object","v":[["href","a"]]}]]]]}`,
	},
	{
		"embeds with and without attributes", `
		[{"op":"delta","p":["text"],"d":[{"insert":"ab"},{"insert":{"$":"embed","v":{"$":"object","v":[["image","x.png"]]}},"attributes":[["width",100]]}]}]
		[{"op":"embed","p":["text"],"i":1,"v":{"$":"object","v":[["image","y.png"]]}}]
		[{"op":"format","p":["text"],"i":0,"n":4,"a":[["bold",true]]}]
		[{"op":"embed","p":["text"],"i":2,"v":{"$":"object","v":[["image","z.png"]]}}]
		`, `{"$":"text","d":[["a",[["bold",true]]],[{"$":"embed","v":{"$":"object","v":[["image","y.png"]]}},[["bold",true]]],[{"$":"embed","v":{"$":"object","v":[["image","z.png"]]}}],["b",[["bold",true]]],[{"$":"embed","v":{"$":"object","v":[["image","x.png"]]}},[["bold",true],["width",100]]]]}`,
	},
	{
		"types in a text", `
		[{"op":"embed","p":["text"],"i":0,"v":{"$":"map","v":[["key","val"]]}}]
		[{"op":"set","p":["text",{"t":0}],"k":"more","v":1},{"op":"insert","p":["text"],"i":1,"s":"x"}]
		[{"op":"embed","p":["text"],"i":0,"v":{"$":"text","d":[["inner",[["bold",true]]]]}}]
		[{"op":"insert","p":["text",{"t":0}],"i":5,"s":" more"},{"op":"unset","p":["text",{"t":1}],"k":"key"}]
		`, `{"$":"text","d":[[{"$":"text","d":[["inner more",[["bold",true]]]]}],[{"$":"map","v":[["more",1]]}],["x"]]}`,
	},
	{
		"a pair of surrogates that is cut becomes two replacement characters", `
		[{"op":"insert","p":["text"],"i":0,"s":"👾"}]
		[{"op":"insert","p":["text"],"i":1,"s":"hi!"}]
		`, `{"$":"text","d":[["�hi!�"]]}`,
	},
	{
		"deleting half of a pair leaves a replacement character", `
		[{"op":"insert","p":["text"],"i":0,"s":"a👾👾b"}]
		[{"op":"delete","p":["text"],"i":2,"n":2}]
		`, `{"$":"text","d":[["a��b"]]}`,
	},
	{
		"a format that begins in a pair", `
		[{"op":"insert","p":["text"],"i":0,"s":"👾👾"}]
		[{"op":"format","p":["text"],"i":1,"n":2,"a":[["bold",true]]}]
		`, `{"$":"text","d":[["�"],["��",[["bold",true]]],["�"]]}`,
	},
	{
		"halves typed one after the other are a character", `
		[{"op":"insert","p":["text"],"i":0,"s":{"$":"utf16","v":"d83d"}}]
		[{"op":"insert","p":["text"],"i":1,"s":{"$":"utf16","v":"dc7e"}}]
		`, `{"$":"text","d":[["👾"]]}`,
	},
	{
		"a delta that keeps more than there is adds line breaks", `
		[{"op":"delta","p":["text"],"d":[{"insert":"ab"}]}]
		[{"op":"delta","p":["text"],"d":[{"retain":4,"attributes":[["bold",true]]},{"insert":"c"}]}]
		`, `{"$":"text","d":[["ab\n\n",[["bold",true]]],["c"]]}`,
	},
	{
		"attributes of a text", `
		[{"op":"attr","p":["text"],"k":"a","v":1},{"op":"attr","p":["text"],"k":"b","v":"x"}]
		[{"op":"unattr","p":["text"],"k":"a"},{"op":"unattr","p":["text"],"k":"none"}]
		`, `{"$":"text","d":[],"a":[["b","x"]]}`,
	},
	{
		"everything in one transaction", `
		[{"op":"insert","p":["text"],"i":0,"s":"abcdef"},{"op":"format","p":["text"],"i":1,"n":4,"a":[["bold",true]]},{"op":"delete","p":["text"],"i":2,"n":2},{"op":"insert","p":["text"],"i":2,"s":"XY"},{"op":"format","p":["text"],"i":0,"n":6,"a":[["bold",null]]}]
		`, `{"$":"text","d":[["abXYef"]]}`,
	},
	{
		"values before, behind and between", `
		[{"op":"ins","p":["array"],"i":0,"v":["b"]}]
		[{"op":"unshift","p":["array"],"v":["a"]},{"op":"push","p":["array"],"v":["d",null]}]
		[{"op":"ins","p":["array"],"i":2,"v":["c",1,true,{"$":"bytes","v":"01"},2]}]
		[{"op":"del","p":["array"],"i":1,"n":3}]
		`, `{"$":"array","v":["a",true,{"$":"bytes","v":"01"},2,"d",null]}`,
	},
	{
		"what is pushed goes behind what was deleted", `
		[{"op":"push","p":["array"],"v":[1,2,3]}]
		[{"op":"del","p":["array"],"i":2,"n":1}]
		[{"op":"ins","p":["array"],"i":2,"v":["inserted"]}]
		[{"op":"push","p":["array"],"v":["pushed"]}]
		`, `{"$":"array","v":[1,2,"inserted","pushed"]}`,
	},
	{
		"everything of an array is deleted", `
		[{"op":"push","p":["array"],"v":[1,{"$":"map","v":[["value",1]]},2]}]
		[{"op":"del","p":["array"],"i":0,"n":3}]
		[{"op":"push","p":["array"],"v":[3]}]
		`, `{"$":"array","v":[3]}`,
	},
	{
		"a type is filled in the transaction that made it, and after", `
		[{"op":"ins","p":["array"],"i":0,"v":[{"$":"array","v":[]}]},{"op":"push","p":["array",0],"v":["x",{"$":"map","v":[]}]},{"op":"set","p":["array",0,1],"k":"k","v":{"$":"text","d":[]}},{"op":"insert","p":["array",0,1,{"k":"k"}],"i":0,"s":"deep"}]
		[{"op":"insert","p":["array",0,1,{"k":"k"}],"i":4,"s":"er"}]
		`, `{"$":"array","v":[{"$":"array","v":["x",{"$":"map","v":[["k",{"$":"text","d":[["deeper"]]}]]}]}]}`,
	},
	{
		"a key is set, replaced, removed and set again", `
		[{"op":"set","p":["map"],"k":"a","v":1}]
		[{"op":"set","p":["map"],"k":"a","v":{"$":"object","v":[["b",[1,null]]]}}]
		[{"op":"unset","p":["map"],"k":"a"}]
		[{"op":"set","p":["map"],"k":"a","v":"again"},{"op":"set","p":["map"],"k":"","v":null}]
		`, `{"$":"map","v":[["",null],["a","again"]]}`,
	},
	{
		"a key that is set twice in one transaction", `
		[{"op":"set","p":["map"],"k":"a","v":{"$":"array","v":[1]}},{"op":"set","p":["map"],"k":"a","v":{"$":"array","v":[2]}}]
		`, `{"$":"map","v":[["a",{"$":"array","v":[2]}]]}`,
	},
	{
		"a map is cleared", `
		[{"op":"set","p":["map"],"k":"a","v":1},{"op":"set","p":["map"],"k":"b","v":{"$":"map","v":[["c",2]]}}]
		[{"op":"clear","p":["map"]}]
		[{"op":"set","p":["map"],"k":"b","v":{"$":"undefined"}}]
		`, `{"$":"map","v":[["b",{"$":"undefined"}]]}`,
	},
	{
		"subdocuments", `
		[{"op":"set","p":["map"],"k":"d","v":{"$":"doc","g":"guid-1","o":[["gc",false],["autoLoad",true],["meta",{"$":"object","v":[["x",1]]}]]}}]
		[{"op":"set","p":["map"],"k":"list","v":{"$":"array","v":[{"$":"doc","g":"guid-2","o":[]}]}}]
		`, `{"$":"map","v":[["d",{"$":"doc","g":"guid-1","o":[["gc",false],["autoLoad",true],["meta",{"$":"object","v":[["x",1]]}]]}],["list",{"$":"array","v":[{"$":"doc","g":"guid-2","o":[]}]}]]}`,
	},
	{
		"children of a fragment", `
		[{"op":"ins","p":["fragment"],"i":0,"v":[{"$":"xmltext","d":[["init"]]},{"$":"xmlelement","n":"p","a":[["id","x"]],"v":[{"$":"xmltext","d":[["a",[["b",true]]]]}]}]}]
		[{"op":"after","p":["fragment"],"i":1,"v":[{"$":"xmlelement","n":"img","a":[],"v":[]}]}]
		[{"op":"after","p":["fragment"],"i":0,"v":[{"$":"xmlhook","n":"hook","v":[["k",1]]}]}]
		[{"op":"unshift","p":["fragment"],"v":[{"$":"xmltext","d":[]}]},{"op":"push","p":["fragment"],"v":[{"$":"xmlelement","n":"last","a":[],"v":[]}]}]
		[{"op":"del","p":["fragment"],"i":2,"n":2},{"op":"set","p":["fragment",1],"k":"k","v":2}]
		`, `{"$":"xmlfragment","v":[{"$":"xmltext","d":[]},{"$":"xmlhook","n":"hook","v":[["k",2]]},{"$":"xmlelement","n":"p","a":[["id","x"]],"v":[{"$":"xmltext","d":[["a",[["b",true]]]]}]},{"$":"xmlelement","n":"last","a":[],"v":[]}]}`,
	},
	{
		"attributes of an element", `
		[{"op":"attr","p":["element"],"k":"height","v":"10"},{"op":"attr","p":["element"],"k":"n","v":5}]
		[{"op":"unattr","p":["element"],"k":"n"},{"op":"ins","p":["element"],"i":0,"v":[{"$":"xmltext","d":[["some text"]]}]}]
		[{"op":"attr","p":["element"],"k":"height","v":11}]
		`, `{"$":"xmlelement","n":"UNDEFINED","a":[["height",11]],"v":[{"$":"xmltext","d":[["some text"]]}]}`,
	},
	{
		"formats of XML text are markup", `
		[{"op":"insert","p":["xmltext"],"i":0,"s":"plain"}]
		[{"op":"format","p":["xmltext"],"i":0,"n":3,"a":[["a",{"$":"object","v":[["href","x"]]}]]},{"op":"attr","p":["xmltext"],"k":"align","v":"left"}]
		`, `{"$":"xmltext","d":[["pla",[["a",{"$":"object","v":[["href","x"]]}]]],["in"]],"a":[["align","left"]]}`,
	},
}

func linesOf(text string) []string {
	return strings.Split(strings.TrimSpace(text), "\n")
}

func parsed(t *testing.T, line string) []yjstest.Op {
	t.Helper()
	ops, err := yjstest.ParseOps([]byte(line))
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return ops
}

func TestBehaviours(t *testing.T) {
	for _, b := range behaviours {
		t.Run(b.name, func(t *testing.T) {
			e := newEditor(1)
			for _, root := range behaviourRoots {
				e.Declare(root.Name, root.Kind)
			}
			var root string
			for _, line := range linesOf(b.transactions) {
				ops := parsed(t, line)
				if root == "" {
					root = ops[0].Path[0].Key
				}
				if err := e.Do(ops); err != nil {
					t.Fatal(err)
				}
			}
			content, err := e.Content()
			if err != nil {
				t.Fatal(err)
			}
			got, err := yjstest.Canonical(content[root])
			if err != nil {
				t.Fatal(err)
			}
			if got != b.want {
				t.Errorf("content is\n%s, want\n%s", got, b.want)
			}
			if err := e.Audit(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestLiveBehaviours has real yjs do the same.
func TestLiveBehaviours(t *testing.T) {
	liveSessions(t)
	verifier, err := yjstest.NewVerifier(nodeDir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := verifier.Close(); err != nil {
			t.Error(err)
		}
	}()
	for _, b := range behaviours {
		t.Run(b.name, func(t *testing.T) {
			peer, err := verifier.Open(1, behaviourRoots, false)
			if err != nil {
				t.Fatal(err)
			}
			e := newEditor(1)
			for _, root := range behaviourRoots {
				e.Declare(root.Name, root.Kind)
			}
			var root string
			for _, line := range linesOf(b.transactions) {
				ops := parsed(t, line)
				if root == "" {
					root = ops[0].Path[0].Key
				}
				want, err := peer.Do(ops)
				if err != nil {
					t.Fatal(err)
				}
				if err := e.Do(ops); err != nil {
					t.Fatal(err)
				}
				got := e.Emitted()
				if len(got) != len(want.Emitted) {
					t.Fatalf("%s emits %x, want %x", line, got, want.Emitted)
				}
				for i := range got {
					if err := sameBytes("the update of "+line, got[i], want.Emitted[i]); err != nil {
						t.Error(err)
					}
				}
			}
			reading, err := peer.Read()
			if err != nil {
				t.Fatal(err)
			}
			content, err := yjstest.Canonical(reading.Content[root])
			if err != nil {
				t.Fatal(err)
			}
			if content != b.want {
				t.Errorf("yjs holds\n%s, the table says\n%s", content, b.want)
			}
			if err := sameBytes("state", encoded(t, e.Doc), reading.Update); err != nil {
				t.Error(err)
			}
			if err := peer.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}
