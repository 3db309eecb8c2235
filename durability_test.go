package soma_test

func writer(dir string, args ...string) int { return 0 }
