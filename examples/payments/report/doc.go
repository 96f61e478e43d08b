// Package report judges a run: it counts, compares what the clients were told with the books of the service and of the
// provider, and shows what happens meanwhile.
package report
