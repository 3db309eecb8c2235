package shape

// JSONWithin is JSON with a bound of its own.
var JSONWithin = jsonWithin
