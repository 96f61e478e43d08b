package idempotency

// For tests outside of the package.
var ParseKey = parseKey
