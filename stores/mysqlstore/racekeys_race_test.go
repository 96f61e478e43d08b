//go:build race

package mysqlstore_test

// raceKeys is over how many keys each race of claims is run.
const raceKeys = 40
