// Package architecture holds the tests of what no single package can see: that imports point down only, from wiring
// over configuration and stores to patterns and hooks, and that every package for users says what it is and shows how
// it is used.
package architecture
