// Package wiring holds what the Fx modules of Steady have in common.
package wiring
