// Package readme holds the README to its word: its program builds and runs in a module of its own, and its configuration
// loads.
package readme
