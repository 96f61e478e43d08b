//go:build race

package pgstore_test

// raceKeys is over how many keys each race of claims is run.
const raceKeys = 60
