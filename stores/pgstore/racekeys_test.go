//go:build !race

package pgstore_test

// raceKeys is over how many keys each race of claims is run. Under the race detector it is far fewer.
const raceKeys = 1000
