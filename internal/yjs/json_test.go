package yjs_test

var jsonCases = []struct{ in, want string }{
	{"null", "null"},
	{`"\ud83d"`, `"\ud83d"`},
}
