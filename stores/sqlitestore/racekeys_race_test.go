//go:build race

package sqlitestore_test

// raceKeys is over how many keys each race of claims is run.
const raceKeys = 60
