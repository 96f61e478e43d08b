// Package traffic is the clients of the payment service: they pay, and do all that makes paying hard. They send requests
// again that were answered, and several times at once; they use a key for something else; they disconnect before the
// answer; and they try again, as told by Retry-After, until they know what became of the payment.
package traffic
