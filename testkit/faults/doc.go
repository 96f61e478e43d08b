// Package faults puts a network that fails between a client and a real server: a small TCP proxy that cuts, delays,
// refuses and swallows, once, with a given probability or until it is told to stop.
//
// It knows no protocol. A request is what a client sends until the server answers, and an answer is what the server
// sends then, so that the faults suit protocols in which a client asks and waits, as those of Redis, PostgreSQL and
// MySQL. Greetings and logins are requests too.
//
// What a server does when its process is paused or killed is for testkit/services.
package faults
